/** `swtpm cuse`: a character device /dev/NAME whose commands the engine pumps and whose ioctls come here. */

import type { CuseConfig } from '../serve/config.ts'
import type { RestRecord } from '../serve/rest/rest-record.ts'
import type { Session } from '../serve/session.ts'
import { guarded } from '../system/guard.ts'
import { DeviceDirectory } from '../system/io/device-directory.ts'
import { log } from '../system/log.ts'
import { attach, endWithoutDevice } from './attach-device.ts'
import { CuseDevice } from './cuse-device.ts'
import { CuseServer } from './cuse-server.ts'
import { ManagedDevice } from './managed-device.ts'

const ROOT = 0

/** Serves until the session ends. @throws SwtpmError */
export async function serveCuse(
  session: Session,
  config: CuseConfig,
  devices: DeviceDirectory,
): Promise<void> {
  const { tpm } = session
  await session.powerOn()
  const device = await CuseDevice.create(config, devices)
  session.goOn()
  session.device = device.path
  const served = serveDevice(session, device, config)
  await attach(tpm, device)
  const managed = config.resourceManager ? new ManagedDevice(session, config) : undefined
  await managed?.create(devices)
  session.plug = {
    async out() {
      await tpm.engine.detach()
      managed?.close()
      served.device?.close()
      served.device = undefined
    },
    async in() {
      const found = DeviceDirectory.open()
      try {
        served.device = await CuseDevice.create(config, found)
        await attach(tpm, served.device)
        await managed?.create(found)
      } finally {
        found.close()
      }
    },
  }
  session.writePidFile()
  log.info(`Serving ${[device.path, managed?.path].filter(Boolean).join(' and ')}`)
}

/**
 * A device of a TPM that is on, for a program. All who may open it may use the PTM ioctls.
 * @returns what takes it away once the engine serves it no more
 * @throws SwtpmError
 */
export async function exposeCuse(
  { tpm }: Pick<Session, 'tpm'>,
  name: string,
  devices: DeviceDirectory,
): Promise<{ readonly path: string; close(): void }> {
  const device = await CuseDevice.create({ name, major: 0, minor: 0 }, devices)
  const server = new CuseServer({ tpm, fd: device.fd, mayControl: () => true, onShutdown() {} })
  const close = (): void => {
    server.close()
    device.close()
  }
  try {
    await attach(tpm, device)
  } catch (error) {
    close()
    throw error
  }
  return { path: device.path, close }
}

/** The device that is there now. */
interface ServedDevice {
  device: CuseDevice | undefined
}

/** Goes on where an earlier supervisor has served. @throws SwtpmError */
export function resumeCuse(session: Session, config: CuseConfig, record: RestRecord): void {
  serveDevice(session, new CuseDevice(record.take('device'), session.device ?? ''), config)
  if (config.resourceManager) new ManagedDevice(session, config, record.take('managedDevice'))
  session.resumePidFile(record)
}

/** Answers what the engine leaves to us, and closes the device at the end. */
function serveDevice(session: Session, first: CuseDevice, { ioctlUsers }: CuseConfig): ServedDevice {
  const { tpm } = session
  const served: ServedDevice = { device: first }
  session.onEnd(() => served.device?.close())
  const server = new CuseServer({
    tpm,
    get fd() {
      return (served.device ?? first).fd
    },
    mayControl: (uid) =>
      ioctlUsers === 'all' || uid === ROOT || (ioctlUsers === 'owner' && uid === process.getuid?.()),
    onShutdown: () => guarded(session.end(0)),
  })
  session.onRest((record) => {
    record.keep('device', first.fd)
    record.sharedState = true
    return server.idle
  })
  tpm.engine.on('clientClosed', (errno) => {
    // 0: a client has closed the device.
    if (errno !== 0 && !session.ending) endWithoutDevice(session, first.path)
  })
  return served
}
