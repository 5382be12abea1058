/** Serves one TPM in the order in which privileges, descriptors and the terminal are given up. */

import { fstatSync } from 'node:fs'
import { CommandLineError } from '../../command-line/exit/command-line-error.ts'
import { exitCodeOf } from '../../command-line/exit/exit-code.ts'
import { onEscapedError } from '../../command-line/exit/report-failure.ts'
import { Keeper } from '../../keeper/keeper.ts'
import { onSignals } from '../../keeper/signals.ts'
import type { SwtpmConfig } from '../../serve/config.ts'
import { confine } from '../../serve/confinement.ts'
import { RestRecord } from '../../serve/rest/rest-record.ts'
import { mayRest, restWhenIdle } from '../../serve/rest/resting.ts'
import { Session } from '../../serve/session.ts'
import { keeperSpawner } from '../../serve/spawners.ts'
import { sentenceOf } from '../../system/fault.ts'
import { guarded } from '../../system/guard.ts'
import { DeviceDirectory } from '../../system/io/device-directory.ts'
import { loadIoctl } from '../../system/io/ioctl.ts'
import { log } from '../../system/log.ts'
import { check } from '../../system/native/check.ts'
import { native } from '../../system/native/load.ts'
import { becomeUser, changeRoot } from '../../system/process/users.ts'
import { makesDevice, resumeFrontEnd, serveFrontEnd } from './front-end.ts'
import { Serving } from './serving.ts'

/** Goes on with a TPM that an earlier supervisor has served. @returns the exit code */
export async function resumeSwtpm(config: SwtpmConfig): Promise<number> {
  // Before anything is received: others of the same user may look into a process that has just been started.
  check(native.setDumpable(false), 'forbid core dumps')
  const keeper = Keeper.connect() as Keeper
  const record = RestRecord.read(keeper.wakeMessage())
  log.resume(config.log, record.has('log') ? record.take('log') : undefined)
  const pid = process.ppid
  const spawner = keeperSpawner(keeper, config, undefined)
  const session = Session.resume(config, { spawner, pid, keeper }, record)
  onEscapedError(() => session.end(1))
  resumeFrontEnd(session, config, record)
  session.onEnd(() => {
    keeper.ask('NOTIFY', 0, Buffer.from('STOPPING=1'))
  })
  confine(config.seccomp)
  handleSignals(keeper, session)
  keeper.ask('RESUMED')
  restWhenIdle(keeper, session, config)
  return session.ended
}

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
  handleSignals(keeper, session)
  // Only root can create a device; everything else is done as the user.
  const late = makesDevice(config)
  try {
    await session.openBottom(config.chroot ?? '')
    if (config.sysfs !== undefined) {
      const { mountSysfs } = await import('../../sysfs/mount-sysfs.ts')
      session.onEnd(await mountSysfs(session.tpm, config.sysfs, config.chroot))
    }
    await session.loadParts()
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
    await session.openTraces()
    await session.equipEngine()
    await serveFrontEnd(session, config, devices)
    if (late && user !== undefined) {
      becomeUser(user)
      serving.keeperBecomesUser()
    }
    confine(config.seccomp)
    serving.confineKeeper(mayRest(config))
    session.onEnd(() => serving.stopping())
    serving.ready()
    if (config.interface === 'socket' && !config.daemonize && mayBeTerminal()) {
      const { tellPersonReady } = await import('./ready-line.ts')
      tellPersonReady(config)
    }
  } catch (error) {
    // A step that failed because the TPM was told to end while it started is no fault.
    if (!session.ending) log.error(sentenceOf(error))
    serving.failed()
    await session.end(exitCodeOf(error, config.interface))
  }
  restWhenIdle(keeper, session, config)
  return session.ended
}

/** Programs that start swtpm take its standard error by a pipe or a file: they do not pay for what a person is told. */
function mayBeTerminal(): boolean {
  try {
    return fstatSync(2).isCharacterDevice()
  } catch {
    return false
  }
}

const handleSignals = (keeper: Keeper, session: Session): void =>
  onSignals(keeper, {
    end: () => guarded(session.end(0)),
    hurry: () => session.hurry(),
    replaceEngines: () => guarded(session.replaceEngine()),
  })
