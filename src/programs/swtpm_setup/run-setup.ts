/** swtpm_setup: simulates the manufacturing of a TPM. */

import { SwtpmError } from '../../system/errors.ts'
import { accountHome } from '../../system/surroundings.ts'
import { chooseConfigFile } from '../common/config-choice.ts'
import { printOut } from '../common/output.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { ToolLog } from '../common/tool-log.ts'
import { author } from './author.ts'
import { SETUP_SETTINGS } from './certificate-tool.ts'
import { decide } from './existing-state.ts'
import { exportKeys } from './export-keys.ts'
import { allProfiles } from './profiles.ts'
import { setupCapabilities } from './setup-capabilities.ts'
import { setupChoices } from './setup-choices.ts'
import type { SetupOptions } from './setup-options.ts'
import { setupTask, type Task } from './setup-task.ts'
import type { LockedPlace, ReadablePlace } from './state-place.ts'
import { TpmCommandLine } from './tpm-command-line.ts'
import { TpmFeatures } from './tpm-features.ts'
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
    createConfigFiles(options.text('create-config-files')!, log)
    return 0
  }
  for (const name of ['swtpm_ioctl', 'tcsd-system-ps-file'] as const) {
    if (options.has(name) && !log.quiet) printOut(`Warning: --${name} is deprecated and has no effect.\n`)
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
  const place = await open(task)
  try {
    const decision = decide(task, place.found(task.version))
    if (decision === 'keep') log.info('Not overwriting existing state file.')
    if (decision === 'author') {
      const config = chooseConfigFile(CONFIG_NAME, options.text('config'))
      for (const line of config.ignored(SETUP_SETTINGS)) log.info(line)
      const choices = setupChoices(options, task, config, features)
      await author({ command, task, choices, config, log, place: place as LockedPlace })
    } else if (task.ekCertDir !== undefined) {
      const required = decision === 'export'
      await exportKeys({ command, task, folder: task.ekCertDir, place, log, required })
    }
  } finally {
    place.close()
  }
}

/** The place is locked, unless a TPM runs there which is to be left as it is. */
async function open(task: Task): Promise<ReadablePlace> {
  try {
    return await task.state.lock()
  } catch (error) {
    if (!(error instanceof SwtpmError) || error.code !== 'SWTPM_ERR_STATE_LOCKED') throw error
    const place = task.state.unlocked()
    if (isLeftAlone(task, place)) return place
    place.close()
    throw error
  }
}

function isLeftAlone(task: Task, place: ReadablePlace): boolean {
  try {
    return decide(task, place.found(task.version)) !== 'author'
  } catch {
    return false
  }
}
