/** What is to be done about a TPM that is there already. */
import type { TpmVersion } from '../../../contract/engine-options.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { Task } from './setup-task.ts'
import type { FoundState } from './state-place.ts'

/** `author`: make one, or change this one; `keep`: leave it alone; `export`: write out its keys. */
export type Decision = 'author' | 'keep' | 'export'

/** @throws ToolFailure when what is there must not be replaced, or is missing */
export function decide(task: Task, found: FoundState | undefined): Decision {
  const { path } = task.state
  const isWanted = found?.blob === 'permall' && (found.version ?? task.version) === task.version
  if (task.reconfigure) {
    if (isWanted) return 'author'
    throw new ToolFailure(
      `Found no state of ${tpmName(task.version)} at ${path} to reconfigure; leave --reconfigure out to make one`,
    )
  }
  if (found === undefined || task.existingState === 'erase') return 'author'
  if (isWanted && task.existingState === 'keep') return 'keep'
  if (isWanted && task.ekCertDir !== undefined && !task.createEk && !task.createSpk) return 'export'
  const what = `'${found.blob}'${found.version === undefined ? '' : ` of ${tpmName(found.version)}`}`
  throw new ToolFailure(`Found existing TPM state ${what} at ${path}; pass --overwrite to replace it`)
}

const tpmName = (version: TpmVersion): string => `a TPM ${version === '2' ? '2.0' : '1.2'}`
