/** What the making of a TPM has at hand. */
import type { ConfigFile } from '../common/config-file.ts'
import type { ToolLog } from '../common/tool-log.ts'
import type { Choices } from './setup-choices.ts'
import type { Task } from './setup-task.ts'
import type { TpmProcess } from './tpm-process.ts'
import type { UserFiles } from './user-files.ts'

export interface Workshop {
  readonly tpm: TpmProcess
  readonly task: Task
  readonly choices: Choices
  readonly config: ConfigFile
  /** For files of its own. */
  readonly folder: string
  /** The user's copies, if they are wanted. */
  readonly files: UserFiles | undefined
  readonly log: ToolLog
}
