/** The names of a TPM's files in its state directory. */
import type { TpmVersion } from '../../../contract/engine-options.ts'
import { type BlobType, STATE_BLOBS } from '../../../contract/state-blobs.ts'

const PREFIX = { '2': 'tpm2-00', '1.2': 'tpm-00' } as const

export interface StateFile {
  readonly name: string
  readonly version: TpmVersion
  /** Which of the three states it is, or belongs to. */
  readonly blob: 'permall' | 'volatilestate' | 'savestate'
}

/** What a file of this name is; undefined when it is no TPM's. */
export function stateFile(name: string): StateFile | undefined {
  const [, prefix, blob] =
    /^(tpm2?-00)\.(permall(?=$|\.bak$|\.journal$)|volatilestate$|savestate$)/.exec(name) ?? []
  if (prefix === undefined) return undefined
  return { name, version: prefix === PREFIX['2'] ? '2' : '1.2', blob: blob as StateFile['blob'] }
}

/** The file with the permanent state, which makes a TPM the one that it is. */
export const permanentFile = (version: TpmVersion): string => `${PREFIX[version]}.permall`

/** The file with one of the three states. */
export const stateFileName = (type: BlobType, version: TpmVersion): string =>
  `${PREFIX[version]}.${STATE_BLOBS[type].name}`

/** The permanent state before the last, which `--tpmstate …,backup` keeps. */
export const backupFile = (version: TpmVersion): string => `${permanentFile(version)}.bak`

/** The journal beside it, which has the newest permanent states of a TPM that is at work. */
export const journalFile = (version: TpmVersion): string => `${permanentFile(version)}.journal`

/** Whether it is what a swtpm that was killed while it stored has left. */
export const isTemporaryFile = (name: string): boolean => /^TMP2?-00\./.test(name)
