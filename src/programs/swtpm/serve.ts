/** Serves one TPM in the order in which privileges, descriptors and the terminal are given up. */

import type { SwtpmConfig } from '../../serve/config.ts'
import { confine } from '../../serve/confinement.ts'
import { keeperSpawner } from '../../serve/engine-options.ts'
import { Session } from '../../serve/session.ts'
import { sentenceOf } from '../../system/fault.ts'
import { DeviceDirectory } from '../../system/io/device-directory.ts'
import { loadIoctl } from '../../system/io/ioctl.ts'
import { log } from '../../system/log.ts'
import { onSignals } from '../../system/process/signals.ts'
import { becomeUser, changeRoot } from '../../system/process/users.ts'
import { CommandLineError } from './exit/command-line-error.ts'
import { exitCodeOf } from './exit/exit-code.ts'
import { onEscapedError } from './exit/report-failure.ts'
import { makesDevice, serveFrontEnd } from './front-end.ts'
import { Serving } from './serving.ts'

/** @returns the exit code */
export async function serveSwtpm(config: SwtpmConfig): Promise<number> {
  if (config.interface === 'cuse' && process.geteuid?.() !== 0) {
    throw new CommandLineError('setuid', 'Cannot make a device: a CUSE TPM must be started as root')
  }
  const serving = Serving.begin(config)
  const { user, keeper } = serving
  const spawner = keeperSpawner(keeper, config, user)
  const session = Session.open(config, { spawner, pid: keeper.pid, keeper }, config.chroot ?? '')
  onEscapedError(() => session.end(1))
  onSignals(keeper, {
    end: () => void session.end(0),
    hurry: () => session.hurry(),
    replaceEngines: () => void session.replaceEngine(),
  })
  // Only root can create a device; everything else is done as the user.
  const late = makesDevice(config)
  try {
    let devices: DeviceDirectory | undefined
    if (config.chroot !== undefined) {
      if (late) {
        loadIoctl()
        devices = DeviceDirectory.open()
      }
      changeRoot(config.chroot)
    }
    if (!late && user !== undefined) {
      becomeUser(user)
      serving.keeperBecomesUser()
    }
    session.openTrace()
    await session.equipEngine()
    await serveFrontEnd(session, config, devices)
    if (late && user !== undefined) {
      becomeUser(user)
      serving.keeperBecomesUser()
    }
    confine(config.seccomp)
    serving.confineKeeper()
    session.onEnd(() => serving.stopping())
    serving.ready()
  } catch (error) {
    // A step that failed because the TPM was told to end while it started is no fault.
    if (!session.ending) log.error(sentenceOf(error))
    serving.failed()
    await session.end(exitCodeOf(error, config.interface))
  }
  return session.ended
}
