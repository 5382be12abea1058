/** The guest's half of a suite: judges rows one after another and says so line by line, so that a death is told by what is missing. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { printOut } from '../../../common/output.ts'
import { splatIn } from '../splats.ts'
import { recordsAfter } from './guest-log.ts'
import { type GuestRow, notOk, type SuiteGuest, type SuiteTpm, type TpmWishes, type Verdict } from './row.ts'
import { SuiteFleet } from './suite-fleet.ts'
import { TpmFile } from './tpm-file.ts'

/** A line of the guest. */
export type Report = { readonly begins: string } | { readonly ends: string; readonly verdict: Verdict }

const report = (line: Report): void => printOut(`${JSON.stringify(line)}\n`)

export async function judgeInGuest(rows: readonly GuestRow[]): Promise<void> {
  const fleet = await SuiteFleet.start()
  for (const row of rows) {
    report({ begins: row.name })
    report({ ends: row.name, verdict: await judgeRow(row, fleet) })
  }
  await fleet.end()
}

async function judgeRow(row: GuestRow, fleet: SuiteFleet): Promise<Verdict> {
  const begun = recordsAfter(-1).at(-1)?.sequence ?? -1
  const guest = new Guest(fleet, begun)
  try {
    const verdict = await row.judge(guest)
    await guest.close()
    const splat = recordsAfter(begun).find((record) => splatIn(record) !== undefined)
    return splat === undefined ? verdict : notOk(splat.text)
  } catch (error) {
    await guest.close()
    return notOk(`the row itself has failed: ${(error as Error).message}`)
  }
}

class Guest implements SuiteGuest {
  readonly #fleet: SuiteFleet
  readonly #begun: number
  readonly #undo: (() => void | Promise<void>)[] = []

  constructor(fleet: SuiteFleet, begun: number) {
    this.#fleet = fleet
    this.#begun = begun
  }

  async tpm(wishes: TpmWishes = {}): Promise<SuiteTpm | undefined> {
    const added = await this.#fleet.add(wishes)
    if (added === undefined) return undefined
    const { name, device } = added
    let isThere = true
    const unplug = async () => {
      if (isThere) await this.#fleet.remove(name)
      isThere = false
    }
    this.#undo.push(unplug)
    const beside = device.replace('/dev/tpm', '/dev/tpmrm')
    return {
      device,
      resourceManager: existsSync(beside) ? beside : undefined,
      unplug,
      open: (path, { nonBlocking = false } = {}) => {
        const file = new TpmFile(path, nonBlocking)
        this.#undo.push(() => file.close())
        return file
      },
    }
  }

  log(): readonly string[] {
    return recordsAfter(this.#begun).map(({ text }) => text)
  }

  run(program: string, args: readonly string[], file?: TpmFile): number | undefined {
    const stdio = ['ignore', 'ignore', 'inherit', ...(file === undefined ? [] : [file.fd])] as const
    const { error, status } = spawnSync(program, args, { stdio: [...stdio] })
    return error === undefined ? (status ?? -1) : undefined
  }

  /** The newest first: a file is closed before its TPM is taken away. */
  async close(): Promise<void> {
    for (const undo of this.#undo.splice(0).reverse()) await undo()
  }
}
