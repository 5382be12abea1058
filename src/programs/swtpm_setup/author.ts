/** Makes a TPM in a place of its own and puts it into its place when it is complete. */
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
import type { LockedPlace } from './state-place.ts'
import { onTerminatingSignal } from './terminating-signal.ts'
import type { TpmCommandLine } from './tpm-command-line.ts'
import { type PassedFd, TpmProcess } from './tpm-process.ts'
import { UserFiles } from './user-files.ts'

export interface Authoring {
  readonly command: TpmCommandLine
  readonly task: Task
  readonly choices: Choices
  readonly config: ConfigFile
  readonly log: ToolLog
  readonly place: LockedPlace
}

/** @throws ToolFailure; what was in the place before is there unchanged */
export async function author({ command, task, choices, config, log, place }: Authoring): Promise<void> {
  if (task.encryption !== undefined) log.info(task.encryption.message)
  const work = task.reconfigure ? 'reconfiguration' : 'manufacturing'
  log.info(
    `Starting vTPM ${work} as ${accountName() ?? '<unknown>'}:${currentGroupName()} @ ${dateAndTime()}`,
  )

  const files =
    task.ekCertDir === undefined ? undefined : new UserFiles(task.ekCertDir, task.existingState === 'erase')
  const made = task.reconfigure ? place.changedTpm(task.version) : place.newTpm()
  const discard = (): void => {
    made.remove()
    files?.discard()
  }
  let tpm: TpmProcess | undefined
  const guard = onTerminatingSignal(async () => {
    await tpm?.kill()
    discard()
  })
  try {
    tpm = await TpmProcess.start({
      command,
      tpm2: task.tpm2,
      stateUri: made.uri,
      log,
      args: [...(task.encryption?.args ?? []), ...profileArguments(choices, log)],
      passedFds: [...(task.encryption?.passedFds ?? []), ...profileDescriptor(choices)],
    })
    try {
      await tpm.ready()
      const workshop = { tpm, task, choices, config, folder: made.folder, files, log }
      await (task.tpm2 ? manufactureTpm2 : manufactureTpm12)(workshop)
      await tpm.finish()
    } finally {
      await tpm.kill()
    }
    made.putInPlace(task.version)
    files?.publish()
    log.info('Successfully authored TPM state.')
  } catch (error) {
    log.error(sentenceOf(error))
    throw new ToolFailure('An error occurred. Authoring the TPM state failed.', { cause: error })
  } finally {
    guard.release()
    discard()
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
