/** Where a TPM of a program has its state, and what becomes of it afterwards. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SwtpmError } from '../system/errors.ts'
import { reasonOf } from '../system/reason.ts'
import { temporaryDirectory } from '../system/surroundings.ts'
import { IN_MEMORY } from '../tpm/state/in-memory.ts'
import type { StateLocation } from '../tpm/state/state-location.ts'
import { makeCertificates } from './make-certificates.ts'
import type { TpmOptions } from './options.ts'

export interface StatePlace {
  readonly location: StateLocation
  /** Removes what the user has not asked for. */
  release(): Promise<void>
}

/** @throws SwtpmError: certificates cannot be or a directory cannot be made */
export async function statePlace({
  state,
  certificates = false,
  version = '2',
}: TpmOptions): Promise<StatePlace> {
  if (state === undefined && !certificates) return { location: IN_MEMORY, async release() {} }
  // swtpm_setup makes TPMs in directories.
  const folder = state === undefined ? await mkdtemp(join(temporaryDirectory(), 'swtpm-')) : undefined
  const release = async (): Promise<void> => {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  }
  try {
    const path = state ?? join(folder as string, 'tpm')
    await makeDirectory(path)
    if (certificates) await makeCertificates(path, version)
    return { location: { kind: 'dir', path, lock: true }, release }
  } catch (error) {
    await release()
    throw error
  }
}

/** Its parent has to be there: a mistyped path makes no tree of folders. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
    throw new SwtpmError(
      'SWTPM_ERR_STATE_DIR',
      `Cannot make state directory "${path}": ${reasonOf(error)}; make the folder that it is in`,
      { cause: error },
    )
  }
}
