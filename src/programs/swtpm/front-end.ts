/** The front end that a configuration names. */
import { resumeCuse, serveCuse } from '../../cuse/cuse-front-end.ts'
import type { SwtpmConfig } from '../../serve/config.ts'
import type { RestRecord } from '../../serve/rest/rest-record.ts'
import type { Session } from '../../serve/session.ts'
import { resumeSocket, serveSocket } from '../../serve/socket/socket-front-end.ts'
import { DeviceDirectory } from '../../system/io/device-directory.ts'
import { resumeChardev, serveChardev, serveVtpmProxy } from '../../vtpm-proxy/chardev-front-end.ts'

/**
 * Lets commands come in. When it returns, clients can use the TPM.
 * @param devices /dev, where it was opened before a change of the root directory; this closes it
 * @throws SwtpmError
 */
export function serveFrontEnd(
  session: Session,
  config: SwtpmConfig,
  devices?: DeviceDirectory,
): Promise<void> {
  switch (config.interface) {
    case 'socket':
      return serveSocket(session, config)
    case 'chardev': {
      const { device } = config
      return device.kind === 'vtpm-proxy'
        ? withDevices(devices, (open) => serveVtpmProxy(session, config, open))
        : serveChardev(session, config, device)
    }
    case 'cuse':
      return withDevices(devices, (open) => serveCuse(session, config, open))
  }
}

/** Goes on where an earlier supervisor has let commands come in. @throws SwtpmError */
export function resumeFrontEnd(session: Session, config: SwtpmConfig, record: RestRecord): void {
  switch (config.interface) {
    case 'socket':
      resumeSocket(session, config, record)
      break
    case 'chardev':
      resumeChardev(session, config, record)
      break
    case 'cuse':
      resumeCuse(session, config, record)
  }
}

async function withDevices(
  given: DeviceDirectory | undefined,
  serve: (devices: DeviceDirectory) => Promise<void>,
): Promise<void> {
  const devices = given ?? DeviceDirectory.open()
  try {
    await serve(devices)
  } finally {
    devices.close()
  }
}

/** Whether a new device comes into being, which takes root. */
export const makesDevice = (config: SwtpmConfig): boolean =>
  config.interface === 'cuse' || (config.interface === 'chardev' && config.device.kind === 'vtpm-proxy')
