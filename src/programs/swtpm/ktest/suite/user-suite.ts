/**
 * `--suite FILE.mjs`: rows of the user, judged in the guest as those of the driver's suite are.
 *
 *     export default [
 *       {
 *         name: 'busy_tpm_is_asked_again',
 *         fix: 'tpm: …',                        // optional: the change that brings it
 *         rules: ['GetRandom#1-2: rc=RETRY'],   // optional, as --fault has them
 *         version: '1.2',                       // optional: 2.0 without it
 *         judge({ tpm, log, run }) {
 *           const response = tpm.open(tpm.device).exchange('80010000000c0000017b0008')
 *           if (typeof response === 'string') return `GetRandom: ${response}`
 *         },
 *       },
 *     ]
 */
import { realpathSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { checkScript } from '../../../../serve/scripting/check-script.ts'
import { importModule } from '../../../../serve/scripting/import-module.ts'
import { reasonOf } from '../../../../system/reason.ts'
import { ToolFailure } from '../../../common/tool-failure.ts'
import type { Suite } from './driver.ts'
import { type GuestRow, notOk, OK, type SuiteGuest, type SuiteTpm, skipped, type Verdict } from './row.ts'

/** A row of the user. */
export interface UserRow {
  /** Letters, digits, _ and -. */
  readonly name: string
  readonly fix?: string
  readonly rules?: readonly string[]
  readonly version?: '1.2' | '2.0'
  /** @returns nothing, or true: ok; what was seen instead: not ok, as when it throws; why it cannot be judged */
  readonly judge: (guest: UserGuest) => Outcome | Promise<Outcome>
}

type Outcome = undefined | true | string | { readonly skip: string }

export interface UserGuest extends Pick<SuiteGuest, 'log' | 'run'> {
  /** Made with the row's rules and version; undefined where the kernel has made no device of it. */
  readonly tpm: SuiteTpm | undefined
}

const NAME = /^[\w-]+$/

/** @throws ToolFailure */
export async function loadUserSuite(path: string): Promise<Suite> {
  try {
    const { default: rows } = await importModule(pathToFileURL(realpathSync(path)).href)
    if (!Array.isArray(rows) || rows.length === 0)
      throw new TypeError('its default export is no list of rows: export default [{ name, judge() { … } }]')
    const checked = rows.map(checkRow)
    const twice = checked.find(({ name }, at) => checked.findIndex((row) => row.name === name) !== at)
    if (twice !== undefined) throw new TypeError(`two of its rows are called "${twice.name}"`)
    return { guestRows: checked.map(guestRow), machineRows: [] }
  } catch (cause) {
    throw new ToolFailure(`Cannot use the suite "${path}": ${reasonOf(cause)}`, { cause })
  }
}

function checkRow(row: Partial<UserRow> | null, at: number): UserRow {
  const { name, judge, rules = [], version = '2.0', fix = '' } = row ?? {}
  const which = `row ${at + 1} of it`
  if (typeof name !== 'string' || !NAME.test(name))
    throw new TypeError(`${which} has no name of letters, digits, _ and -`)
  if (typeof judge !== 'function') throw new TypeError(`${which}, "${name}", has no function judge()`)
  if (!Array.isArray(rules) || !rules.every((rule) => typeof rule === 'string'))
    throw new TypeError(`${which}, "${name}": rules is no list of strings`)
  if (version !== '1.2' && version !== '2.0')
    throw new TypeError(`${which}, "${name}": version is none of '1.2', '2.0'`)
  checkScript({ faults: rules, modes: [] })
  return { name, judge, rules, version, fix: String(fix) }
}

const guestRow = ({ name, fix = '', rules = [], version = '2.0', judge }: UserRow): GuestRow => ({
  name,
  fix,
  async judge(guest) {
    const tpm = await guest.tpm({ version, faults: rules })
    try {
      const run: SuiteGuest['run'] = (program, args, file) => guest.run(program, args, file)
      return verdictOf(await judge({ tpm, log: () => guest.log(), run }))
    } catch (error) {
      return notOk(error instanceof Error ? error.message : String(error))
    }
  },
})

function verdictOf(outcome: Outcome): Verdict {
  if (outcome === undefined || outcome === true) return OK
  return typeof outcome === 'string' ? notOk(outcome) : skipped(String(outcome.skip))
}
