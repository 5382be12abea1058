/** `--suite NAME`: boots what its rows need, and prints their verdicts as KTAP. */
import { Writable } from 'node:stream'
import { printOut } from '../../../common/output.ts'
import type { MachineEnd } from '../machine-run.ts'
import type { Suite } from './driver.ts'
import type { Report } from './in-guest.ts'
import { ktapHeader, ktapLine, ktapTotals } from './ktap.ts'
import { type MachineRow, notOk, type Verdict } from './row.ts'

/** Rows take seconds, on an emulated processor that others use, too. */
const ROW_TIMEOUT_MS = 60_000

/** How machines are had. What their guests print goes to `stdout`. */
export interface Machines {
  /** Judges these guest rows by name. */
  judge(rows: readonly string[], stdout: Writable, signal: AbortSignal): Promise<MachineEnd>
  /** Runs a script with this TPM as hardware. */
  run(tpm: string, script: string, stdout: Writable): Promise<MachineEnd>
}

/** @returns the exit code: 1 where a fix is missing */
export async function runSuite({ guestRows, machineRows }: Suite, machines: Machines): Promise<number> {
  const verdicts: Verdict[] = []
  printOut(ktapHeader(guestRows.length + machineRows.length))
  const tell = ({ name, fix }: Named, verdict: Verdict) => {
    verdicts.push(verdict)
    printOut(ktapLine(verdicts.length, name, fix, verdict))
  }
  await judgeRows(guestRows, machines.judge, tell)
  for (const row of machineRows) tell(row, await judgeByMachine(row, machines))
  printOut(ktapTotals(verdicts))
  return verdicts.some(({ outcome }) => outcome === 'not ok') ? 1 : 0
}

interface Named {
  readonly name: string
  readonly fix: string
}

/** Where a machine dies, the row that it has died of is judged by that, and another machine goes on behind it. */
export async function judgeRows(
  rows: readonly Named[],
  judge: Machines['judge'],
  tell: (row: Named, verdict: Verdict) => void,
): Promise<void> {
  for (let left = rows; left.length > 0; ) {
    let count = 0
    const silence = new Silence()
    const reports = lineSink((line) => {
      const report = JSON.parse(line) as Report
      silence.broken()
      const row = left[count]
      if (!('ends' in report) || row?.name !== report.ends) return
      count++
      tell(row, report.verdict)
    })
    const { fault, status, splats } = await judge(
      left.map(({ name }) => name),
      reports,
      silence.signal,
    )
    silence.end()
    const atFault = left[count]
    if (atFault !== undefined) {
      const end = fault?.message ?? `the guest's runner ended with ${status}`
      tell(atFault, notOk([splats[0]?.text, end].filter(Boolean).join('; ')))
    }
    left = left.slice(count + 1)
  }
}

async function judgeByMachine(row: MachineRow, machines: Machines): Promise<Verdict> {
  let stdout = ''
  const { status, fault, splats, log } = await machines.run(
    row.tpm,
    row.script,
    lineSink((line) => {
      stdout += `${line}\n`
    }),
  )
  const [splat] = splats
  if (splat !== undefined) return notOk(splat.text)
  if (status === undefined) return notOk(fault?.message ?? 'the machine has died')
  return row.judge({ status, stdout, log })
}

/** Aborts when a row has taken longer than any: a kernel without a fix may never go on. The first report follows a boot. */
class Silence {
  readonly #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  broken(): void {
    this.end()
    const what = `the row took longer than ${ROW_TIMEOUT_MS / 1000} s`
    this.#timer = setTimeout(() => this.#controller.abort(what), ROW_TIMEOUT_MS)
  }

  end(): void {
    clearTimeout(this.#timer)
  }
}

function lineSink(take: (line: string) => void): Writable {
  let partial = ''
  return new Writable({
    write(chunk, _encoding, written) {
      const lines = (partial + chunk).split('\n')
      partial = lines.pop() ?? ''
      for (const line of lines) take(line)
      written()
    },
  })
}
