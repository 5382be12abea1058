/**
 * `--script FILE.mjs`: a module of the user that decides about commands, in this process.
 *
 *     export default (tpm, { rc }) => {
 *       tpm.on('GetRandom#1-2', rc('RETRY'))
 *       tpm.on('PCR_Read', async (exchange, next) => (await next()).with(…))
 *     }
 */
import { realpathSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import type { TpmVersion } from '../../../contract/engine-options.ts'
import { refuseUntrusted } from '../../programs/common/read-trusted.ts'
import * as effects from '../../responders/effects/every-effect.ts'
import type { Fault } from '../../responders/fault.ts'
import type { Responder } from '../../responders/responder.ts'
import type { When } from '../../responders/when/when.ts'
import { SwtpmError } from '../../system/errors.ts'
import { whereOf } from '../../system/fault.ts'
import { log } from '../../system/log.ts'
import { reasonOf } from '../../system/reason.ts'
import { within } from '../../system/time-limit.ts'
import type { Scripting } from './scripting.ts'

/** What a module is given. */
export interface ScriptedTpm {
  readonly version: TpmVersion
  /** Puts a responder on top of those that are there. @returns takes it away again */
  on(when: When, responder: Responder): Disposable
  /** Adds a rule. */
  fault(rule: string): Fault
  /** A line in the log, at level 1. */
  say(text: string): void
}

/** Until the function of the module has ended. */
const PATIENCE_MS = 30_000

/** @throws SwtpmError SWTPM_ERR_SCRIPT */
export async function loadUserModule(path: string, scripting: Scripting, version: TpmVersion): Promise<void> {
  try {
    const file = realpathSync(path)
    refuseUntrusted(path)
    refuseUntrusted(file)
    const { importModule } = await import('./import-module.ts')
    const { default: script } = await importModule(pathToFileURL(file).href)
    if (typeof script !== 'function')
      throw new TypeError('it has no function as its default export: export default (tpm, effects) => { … }')
    const done = await within(
      PATIENCE_MS,
      Promise.resolve(script(givenTo(path, scripting, version), effects)),
      'late',
    )
    if (done === 'late') throw new Error(`its function has not ended in ${PATIENCE_MS / 1000} s`)
  } catch (error) {
    throw new SwtpmError('SWTPM_ERR_SCRIPT', `Cannot use the script "${path}": ${explained(error)}`, {
      cause: error,
    })
  }
}

const givenTo = (path: string, { responders, faults }: Scripting, version: TpmVersion): ScriptedTpm => ({
  version,
  on: (when, responder) =>
    responders.on(when, responder, `${path}, ${typeof when === 'string' ? when : 'a function'}`),
  fault: (rule) => faults.add(rule),
  say: (text) => log.info(`${path}: ${text}`),
})

/** With the place where it was thrown, if that was in a program of the user. */
function explained(error: unknown): string {
  // Node keeps the place to itself.
  if (error instanceof SyntaxError) return `${error.message}; node --check FILE says where`
  const where = whereOf(error)
  return /^\s+at .*file:/m.test(where) ? where : reasonOf(error)
}
