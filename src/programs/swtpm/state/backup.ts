/** `swtpm state backup`: a copy of a TPM as it was at one moment, which another swtpm could start on. */
import type { TpmVersion } from '../../../../contract/engine-options.ts'
import { readContainer } from '../../../tpm/state/stored/container.ts'
import { type Place, readStoredTpm, stateProblem } from '../../../tpm/state/stored/stored-tpm.ts'
import { ToolFailure } from '../../common/tool-failure.ts'
import { filesOf, makeDirectory } from './new-directory.ts'
import { userOf } from './place-in-use.ts'
import { versionOf } from './version-of.ts'

/** @param to a directory that is to be made @returns what has been done, as a sentence @throws Fault */
export function backup(place: Place, to: string, version: TpmVersion | undefined): string {
  if (place.kind === 'blob')
    throw new ToolFailure(`Cannot back "${place.path}" up: it is one state, and no TPM; copy the file`)
  const stored = readStoredTpm(place, version)
  for (const { name, bytes } of stored.blobs) {
    try {
      readContainer(bytes)
    } catch (error) {
      throw stateProblem(name, error)
    }
  }
  const files = filesOf(stored, stored.version ?? versionOf(stored, version))
  makeDirectory(to, files)
  const user = userOf(place)
  const running =
    user === undefined ? '' : `; process ${user} uses the TPM, whose volatile state is in its memory`
  return `"${to}" has ${files.map(({ name }) => name).join(', ')}${running}`
}
