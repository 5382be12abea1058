/** `--tpmstate`, and TPM_PATH in its place. */

import type { Given } from '../../programs/common/options/given-options.ts'
import { withDefaults } from '../../programs/common/options/sub-option.ts'
import type { StateLocation } from '../../serve/config.ts'
import { IN_MEMORY } from '../../tpm/state/in-memory.ts'
import { CommandLineError, type ExitReason } from '../exit/command-line-error.ts'
import { type EngineOptionsOf, engineOptionsOf } from '../options/engine-settings.ts'
import { tpmstateSchema } from '../options/sub-options.ts'
import { givenSubOptions } from './given.ts'
import { subOptionError } from './sub-options.ts'

/** Where the state is, and how the engine keeps it. */
export interface StateOptions {
  readonly state: StateLocation
  readonly engine: EngineOptionsOf<typeof tpmstateSchema> & { readonly modeGiven: boolean }
}

/**
 * Where the state is; `undefined` when neither the option nor TPM_PATH says so.
 *
 * State is synced to the disk unless `fsync=false` is given. The reference syncs only when asked to, and then loses the
 * state when the power goes at the wrong moment; asking for what is the default does no harm.
 * A directory is locked by default, a single file or block device is not: a shared block device may be open on the other
 * host of a migration.
 */
export function stateOf(
  given: Given<'tpmstate'>,
  env: NodeJS.ProcessEnv,
  reason: ExitReason = 'badOption',
): StateOptions | undefined {
  const chosen = givenSubOptions(given, 'tpmstate', tpmstateSchema, reason)
  const values = withDefaults(tpmstateSchema, chosen)
  const engine = { ...engineOptionsOf(tpmstateSchema, values), modeGiven: chosen?.mode !== undefined }
  const directory = (path: string): StateOptions => ({
    state: { kind: 'dir', path, lock: values.lock },
    // A backup is wanted of every state, also of those that a journal would keep from the file.
    engine: { ...engine, journal: values.journal && !values.backup },
  })

  if (chosen === undefined) {
    return env.TPM_PATH === undefined || env.TPM_PATH === '' ? undefined : directory(env.TPM_PATH)
  }
  if (chosen.journal === true && values.backup)
    throw subOptionError('tpmstate', 'give either journal or backup, not both', reason)
  const uri = values['backend-uri']
  if (values.dir !== undefined) {
    if (uri !== undefined)
      throw subOptionError('tpmstate', 'give either dir or backend-uri, not both', reason)
    return directory(values.dir)
  }
  if (uri === undefined)
    throw subOptionError('tpmstate', 'one of dir=DIR and backend-uri=URI is required', reason)
  const [, scheme, path] = /^(dir|file):\/\/(.+)$/s.exec(uri) ?? []
  if (path === undefined) {
    throw subOptionError('tpmstate', `backend-uri "${uri}" is neither dir://DIR nor file://PATH`, reason)
  }
  if (scheme === 'dir') return directory(path)
  for (const name of ['backup', 'journal'] as const) {
    if (chosen[name] !== true) continue
    throw subOptionError(
      'tpmstate',
      `${name} is for a state directory: leave it out, or give dir=DIR instead of backend-uri=${uri}`,
      reason,
    )
  }
  return {
    state: { kind: 'linear', path, lock: chosen.lock ?? false },
    engine: { ...engine, backup: false, journal: false },
  }
}

/** Of a TPM that nothing has to be kept of. */
export function inMemoryState(): StateOptions {
  const engine = engineOptionsOf(tpmstateSchema, withDefaults(tpmstateSchema, undefined))
  return {
    state: IN_MEMORY,
    engine: { ...engine, sync: false, backup: false, journal: false, modeGiven: false },
  }
}

/** For an interface that cannot start without. */
export function requireState(options: StateOptions | undefined): StateOptions {
  if (options === undefined) {
    throw new CommandLineError(
      'general',
      'No TPM state directory is defined: give --tpmstate dir=DIR, or set TPM_PATH',
    )
  }
  return options
}
