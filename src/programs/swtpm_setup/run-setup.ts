/** swtpm_setup: simulates the manufacturing of a TPM. */
import { readFileSync } from 'node:fs'
import { sentenceOf } from '../../system/fault.ts'
import { accountHome, accountName } from '../../system/surroundings.ts'
import { chooseConfigFile } from '../common/config-choice.ts'
import type { ConfigFile } from '../common/config-file.ts'
import { printOut } from '../common/output.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { ToolLog } from '../common/tool-log.ts'
import { SETUP_SETTINGS } from './certificate-tool.ts'
import { manufactureTpm2 } from './manufacture-tpm2.ts'
import { manufactureTpm12 } from './manufacture-tpm12.ts'
import { allProfiles } from './profiles.ts'
import { setupCapabilities } from './setup-capabilities.ts'
import { type Choices, setupChoices } from './setup-choices.ts'
import type { SetupOptions } from './setup-options.ts'
import { setupTask, type Task } from './setup-task.ts'
import { TpmCommandLine } from './tpm-command-line.ts'
import { TpmFeatures } from './tpm-features.ts'
import { type PassedFd, TpmProcess } from './tpm-process.ts'
import { createConfigFiles } from './user-config-files.ts'

const CONFIG_NAME = 'swtpm_setup.conf'

/** Becomes the user of --runas, who then owns the log and the state. */
export async function becomeSetupUser(options: SetupOptions): Promise<void> {
  const user = options.text('runas')
  if (user === undefined) return
  // The addon is loaded for this alone.
  const { becomeUser, lookUpUser } = await import('../../system/process/users.ts')
  becomeUser(lookUpUser(user))
  // Root's home is none for that user: what is theirs, such as a CA, is in their own.
  const home = accountHome()
  if (home === undefined) delete process.env.HOME
  else process.env.HOME = home
}

export async function runSetup(options: SetupOptions, log: ToolLog): Promise<number> {
  if (options.has('create-config-files')) {
    createConfigFiles(options.text('create-config-files')!)
    return 0
  }
  for (const name of ['swtpm_ioctl', 'tcsd-system-ps-file'] as const) {
    if (options.has(name)) printOut(`Warning: --${name} is deprecated and has no effect.\n`)
  }
  await setup(options, log)
  return 0
}

async function setup(options: SetupOptions, log: ToolLog): Promise<void> {
  const command = TpmCommandLine.parse(options.text('tpm'))
  if (options.has('print-capabilities')) {
    printOut(`${setupCapabilities(command)}\n`)
    return
  }
  const tpm2 = options.has('tpm2')
  if (options.has('print-profiles')) {
    const config = chooseConfigFile(CONFIG_NAME, options.text('config'))
    const profiles = tpm2 ? allProfiles(command, TpmFeatures.of(command, true), config) : '{}'
    printOut(`${profiles}\n`)
    return
  }

  const task = setupTask(options)
  const features = TpmFeatures.of(command, tpm2)
  if (!features.has(tpm2 ? 'tpm-2.0' : 'tpm-1.2')) {
    throw new ToolFailure(`swtpm at ${command.program} does not support TPM ${tpm2 ? '2' : '1.2'}`)
  }
  const stateExists = task.state.hasState(command, tpm2)
  if (task.reconfigure && !stateExists) {
    throw new ToolFailure(
      `Found no TPM state at ${task.state.path} to reconfigure; leave --reconfigure out to make one`,
    )
  }
  if (stateExists && !task.reconfigure) {
    if (task.existingState === 'keep') {
      log.info('Not overwriting existing state file.')
      return
    }
    if (task.existingState === 'refuse') {
      throw new ToolFailure(
        `Found existing TPM state 'permall' at ${task.state.path}; pass --overwrite to erase it`,
      )
    }
  }
  const config = chooseConfigFile(CONFIG_NAME, options.text('config'))
  for (const line of config.ignored(SETUP_SETTINGS)) log.info(line)
  const choices = setupChoices(options, task, config, features)
  await author({ command, task, choices, config, log })
}

interface Authoring {
  readonly command: TpmCommandLine
  readonly task: Task
  readonly choices: Choices
  readonly config: ConfigFile
  readonly log: ToolLog
}

/** From here on the state changes. A new TPM that cannot be finished leaves nothing behind; an existing one is kept. */
async function author({ command, task, choices, config, log }: Authoring): Promise<void> {
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

/** Ends the process after `action` when a signal asks for it. */
function onTerminatingSignal(action: () => Promise<void>): { release(): void } {
  const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const
  const handler = (signal: NodeJS.Signals): void => {
    const end = (): never => process.exit(128 + signals[signal as keyof typeof signals])
    action().then(end, end)
  }
  const names = Object.keys(signals) as NodeJS.Signals[]
  for (const name of names) process.once(name, handler)
  return {
    release: () => {
      for (const name of names) process.removeListener(name, handler)
    },
  }
}

function currentGroupName(): string {
  const gid = String(process.getgid?.())
  try {
    const groups = readFileSync('/etc/group', 'utf8').split('\n')
    return groups.map((line) => line.split(':')).find(([, , id]) => id === gid)?.[0] ?? '<unknown>'
  } catch {
    return '<unknown>'
  }
}

/** As in `Sat 21 Nov 2026 07:52:40 AM UTC`. */
function dateAndTime(date = new Date()): string {
  const parts = new Intl.DateTimeFormat('en-US', {
    ...{ weekday: 'short', day: '2-digit', month: 'short', year: 'numeric' },
    ...{ hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: true, timeZoneName: 'short' },
  }).formatToParts(date)
  const part = (type: Intl.DateTimeFormatPartTypes): string =>
    parts.find((one) => one.type === type)?.value ?? ''
  const day = `${part('weekday')} ${part('day')} ${part('month')} ${part('year')}`
  return `${day} ${part('hour')}:${part('minute')}:${part('second')} ${part('dayPeriod')} ${part('timeZoneName')}`
}
