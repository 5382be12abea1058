/** A state directory that holds a TPM of the other version only: most likely `--tpm2` is missing, or one too many. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { TpmVersion } from '../../contract/engine-options.ts'
import { log } from '../system/log.ts'

const FILES = { '1.2': 'tpm-00.permall', '2': 'tpm2-00.permall' } as const

/** Both may be in one directory, so it is no fault. */
export function warnOfOtherVersion(directory: string, version: TpmVersion): void {
  const other = version === '2' ? '1.2' : '2'
  if (existsSync(join(directory, FILES[version])) || !existsSync(join(directory, FILES[other]))) return
  log.warn(
    version === '2'
      ? `"${directory}" holds the state of a TPM 1.2, and --tpm2 asks for a TPM 2.0: a new one comes beside it`
      : `"${directory}" holds the state of a TPM 2.0, and without --tpm2 this is a TPM 1.2: a new one comes beside it`,
  )
}
