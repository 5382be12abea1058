/** Has a TPM started on the state, makes it what was asked for, and says so. */
import { sentenceOf } from '../../system/fault.ts'
import { accountName } from '../../system/surroundings.ts'
import type { ConfigFile } from '../common/config-file.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { ToolLog } from '../common/tool-log.ts'
import { currentGroupName } from './current-group.ts'
import { dateAndTime } from './date-and-time.ts'
import { manufactureTpm2 } from './manufacture-tpm2.ts'
import { manufactureTpm12 } from './manufacture-tpm12.ts'
import type { Choices } from './setup-choices.ts'
import type { Task } from './setup-task.ts'
import { onTerminatingSignal } from './terminating-signal.ts'
import type { TpmCommandLine } from './tpm-command-line.ts'
import { type PassedFd, TpmProcess } from './tpm-process.ts'

interface Authoring {
  readonly command: TpmCommandLine
  readonly task: Task
  readonly choices: Choices
  readonly config: ConfigFile
  readonly log: ToolLog
}

/** From here on the state changes. A new TPM that cannot be finished leaves nothing behind; an existing one is kept. */
export async function author({ command, task, choices, config, log }: Authoring): Promise<void> {
  if (!task.reconfigure) task.state.erase()
  if (task.encryption !== undefined) log.info(task.encryption.message)
  const work = task.reconfigure ? 'reconfiguration' : 'manufacturing'
  log.info(
    `Starting vTPM ${work} as ${accountName() ?? '<unknown>'}:${currentGroupName()} @ ${dateAndTime()}`,
  )

  let tpm: TpmProcess | undefined
  const abandon = async (): Promise<void> => {
    await tpm?.kill()
    if (!task.reconfigure) task.state.erase()
  }
  const guard = onTerminatingSignal(abandon)
  try {
    tpm = TpmProcess.start({
      command,
      tpm2: task.tpm2,
      stateUri: task.state.uri,
      logFile: log.file,
      args: [...(task.encryption?.args ?? []), ...profileArguments(choices, log)],
      passedFds: [...(task.encryption?.passedFds ?? []), ...profileDescriptor(choices)],
    })
    try {
      await tpm.ready()
      await (task.tpm2 ? manufactureTpm2 : manufactureTpm12)({ tpm, task, choices, config, log })
    } finally {
      await tpm.stop()
    }
    log.info('Successfully authored TPM state.')
  } catch (error) {
    log.error(sentenceOf(error))
    if (!task.reconfigure) task.state.erase()
    throw new ToolFailure('An error occurred. Authoring the TPM state failed.', { cause: error })
  } finally {
    guard.release()
    log.info(`Ending vTPM manufacturing @ ${dateAndTime()}`)
  }
}

function profileArguments({ profile, removeDisabled }: Choices, log: ToolLog): string[] {
  if (profile === undefined || !('json' in profile)) return []
  log.info(`Apply profile: ${profile.json}`)
  return ['--profile', `profile=${profile.json}${removeDisabledOption(removeDisabled)}`]
}

function profileDescriptor({ profile, removeDisabled }: Choices): PassedFd[] {
  if (profile === undefined || !('fd' in profile)) return []
  const option = (number: number): string[] => [
    '--profile',
    `fd=${number}${removeDisabledOption(removeDisabled)}`,
  ]
  return [{ fd: profile.fd, option }]
}

const removeDisabledOption = (value: string | undefined): string =>
  value === undefined ? '' : `,remove-disabled=${value}`
