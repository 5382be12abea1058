/** `--suite NAME`: boots what its rows need, and prints their verdicts as KTAP. */
import { Writable } from 'node:stream'
import { printOut } from '../../../common/output.ts'
import type { MachineEnd } from '../machine-run.ts'
import type { Suite } from './driver.ts'
import type { Report } from './in-guest.ts'
import { ktapHeader, ktapLine, ktapTotals } from './ktap.ts'
import { KERNEL_OPTIONS, type KernelOption, type MachineRow, notOk, skipped, type Verdict } from './row.ts'

/** Rows take seconds, on an emulated processor that others use, too. */
const ROW_TIMEOUT_MS = 120_000

/** How machines are had. What their guests print goes to `stdout`. */
export interface Machines {
  /** Judges these guest rows by name. */
  judge(rows: readonly string[], stdout: Writable, signal: AbortSignal): Promise<MachineEnd>
  /** The options of these that the kernel was built without; undefined: nothing says so. */
  lacking(options: readonly string[]): string[] | undefined
  /** Runs a row's script, with its TPM as hardware. */
  run(
    row: MachineRow,
    script: string,
    stdout: Writable,
  ): Promise<MachineEnd & { readonly trace: readonly string[] }>
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
  const wanted = row.needs ?? []
  const lacking = machines.lacking(wanted)
  if (lacking?.[0] !== undefined) return skipped(`needs CONFIG_${lacking[0]}`)
  let stdout = ''
  const { status, fault, splats, log, trace } = await machines.run(
    row,
    `${lacking === undefined ? wanted.map(requirement).join('') : ''}${row.script}`,
    lineSink((line) => {
      stdout += `${line}\n`
    }),
  )
  const [splat] = splats
  if (splat !== undefined) return notOk(splat.text)
  if (status === undefined) return notOk(fault?.message ?? 'the machine has died')
  if (status === LACKING) return skipped(stdout.trim())
  return row.judge({ status, stdout, log, trace })
}

/** What a guest's script ends with when it finds that the kernel lacks an option, and has said so. */
const LACKING = 78

const requirement = (option: KernelOption): string =>
  `${KERNEL_OPTIONS[option]} || { echo needs CONFIG_${option}; exit ${LACKING}; }\n`

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
