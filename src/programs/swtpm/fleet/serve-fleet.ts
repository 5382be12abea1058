/** Serves many TPMs, in the order in which privileges, descriptors and the terminal are given up. */

import { closeSync, readFileSync } from 'node:fs'
import type { SeccompAction } from '../../../../contract/engine-options.ts'
import { onEscapedError } from '../../../command-line/exit/report-failure.ts'
import { onSignals } from '../../../keeper/signals.ts'
import type { PidFileTarget, SwtpmConfig, UnixEndpoint } from '../../../serve/config.ts'
import { confine } from '../../../serve/confinement.ts'
import { checkDescriptors } from '../../../serve/descriptors.ts'
import type { Session } from '../../../serve/session.ts'
import { openEndpoint } from '../../../serve/socket/open-endpoint.ts'
import { startSpawner } from '../../../serve/spawners.ts'
import { SwtpmError } from '../../../system/errors.ts'
import { isFault, sentenceOf } from '../../../system/fault.ts'
import { guarded } from '../../../system/guard.ts'
import { loadIoctl } from '../../../system/io/ioctl.ts'
import type { LineServer } from '../../../system/io/line-server.ts'
import { type LogConfig, log } from '../../../system/log.ts'
import { PidFile } from '../../../system/process/pid-file.ts'
import type { InheritedDescriptor } from '../../../system/process/ready-descriptor.ts'
import { becomeUser } from '../../../system/process/users.ts'
import { reasonOf } from '../../../system/reason.ts'
import { workingDirectory } from '../../../system/surroundings.ts'
import { makesDevice, serveFrontEnd } from '../front-end.ts'
import { Serving } from '../serving.ts'
import { Fleet } from './fleet.ts'
import type { FleetAnswer, FleetRequest } from './fleet-protocol.ts'
import { serveFleetClients } from './fleet-server.ts'
import { fleetTpm } from './fleet-tpm-config.ts'
import { checkName, readTpmLines, type TpmLine } from './tpms-file.ts'

export interface FleetConfig {
  readonly control: UnixEndpoint
  readonly tpmsFile: string | undefined
  readonly freshEngines: boolean
  readonly log: LogConfig
  readonly pid: PidFileTarget | undefined
  readonly readyFd: InheritedDescriptor | undefined
  /** A user's name or number. */
  readonly runAs: string | undefined
  readonly seccomp: SeccompAction
  readonly daemonize: boolean
}

/** So many TPMs of the file are started at a time. */
const AT_ONCE = 8

/** @returns the exit code @throws SwtpmError when no TPM of the fleet can be served */
export async function serveFleet(config: FleetConfig): Promise<number> {
  checkDescriptors(config)
  const serving = Serving.begin(config)
  const { user, keeper } = serving
  // As the user that it will be.
  const spawner = await startSpawner(config, user)
  // Read before switching user: the --runas user may not be allowed to.
  const lines = config.tpmsFile === undefined ? [] : readLines(config.tpmsFile)
  if (user !== undefined) becomeUser(user)
  const mayMakeDevices = process.geteuid?.() === 0
  if (mayMakeDevices) loadIoctl()

  const directory = workingDirectory()
  const fleet = new Fleet({ spawner, pid: keeper.pid }, (session, tpm) =>
    serveIfAllowed(session, tpm, mayMakeDevices),
  )
  onEscapedError(() => fleet.end())
  const add = async (name: string, words: readonly string[], from: string | undefined) =>
    fleet.add(name, fleetTpm(name, words, from, config))
  const socket = openEndpoint(config.control)
  const ended = new Promise<void>((resolve) => {
    onSignals(keeper, {
      end() {
        resolve()
        // At once: the first TPMs may still be starting.
        guarded(fleet.end())
      },
      hurry: () => fleet.hurry(),
      replaceEngines: () => guarded(fleet.replaceEngines()),
    })
  })
  guarded(
    spawner.gone.then(() => {
      if (!fleet.ending)
        log.error('Cannot start engines any more: the spawner has ended; start the fleet again')
    }),
  )
  // Before the first TPM: what works then will work later.
  let pidFile: PidFile | undefined
  let server: LineServer | undefined
  try {
    confine(config.seccomp, mayMakeDevices)
    serving.confineKeeper(false)
    await inTurns(lines, ({ number, name, words }) =>
      add(name, words, directory).catch((error) => {
        if (!isFault(error)) throw error
        // What fails because the fleet ends is no fault.
        if (!fleet.ending) log.error(`${config.tpmsFile}:${number}: ${sentenceOf(error)}`)
      }),
    )
    server = serveFleetClients(socket.fd, (request) => answer(fleet, add, request))
    if (config.pid !== undefined) pidFile = PidFile.write(config.pid, keeper.pid)
    serving.ready()
    log.info(`Fleet of ${fleet.list().length} TPMs, asked at "${config.control.path}"`)
    await ended
    serving.stopping()
    server.stop()
    return 0
  } finally {
    await fleet.end()
    if (server === undefined) closeSync(socket.fd)
    else server.close()
    socket.remove()
    pidFile?.remove()
    await spawner.close()
  }
}

/** @throws SwtpmError SWTPM_ERR_PRIVILEGE */
function serveIfAllowed(session: Session, config: SwtpmConfig, mayMakeDevices: boolean): Promise<void> {
  if (makesDevice(config) && !mayMakeDevices) {
    throw new SwtpmError(
      'SWTPM_ERR_PRIVILEGE',
      'a new device takes root: start the fleet as root and without --runas, or use swtpm socket',
    )
  }
  return serveFrontEnd(session, config)
}

async function answer(
  fleet: Fleet,
  add: (name: string, words: readonly string[], directory: string | undefined) => Promise<FleetAnswerTpm>,
  request: FleetRequest,
): Promise<FleetAnswer> {
  try {
    switch (request.verb) {
      case 'add':
        checkName(request.name)
        return { ok: true, tpms: [await add(request.name, request.words, request.directory ?? undefined)] }
      case 'remove':
        await fleet.remove(request.name)
        return { ok: true, tpms: [] }
      case 'list':
        return { ok: true, tpms: fleet.list() }
    }
  } catch (error) {
    log.error(sentenceOf(error))
    return { ok: false, error: isFault(error) ? sentenceOf(error) : reasonOf(error) }
  }
}

type FleetAnswerTpm = Awaited<ReturnType<Fleet['add']>>

function readLines(path: string): TpmLine[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new SwtpmError('SWTPM_ERR_FLEET', `Cannot read the TPMs of "${path}": ${reasonOf(error)}`, {
      cause: error,
    })
  }
  const { tpms, faults } = readTpmLines(text)
  for (const { number, reason } of faults) log.error(`${path}:${number}: ${reason}`)
  return tpms
}

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const waiting = items.values()
  const worker = async (): Promise<void> => {
    for (const item of waiting) await work(item)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}
