/** `swtpm cuse`: a character device /dev/NAME whose commands the engine pumps and whose ioctls come here. */

import { TPM_SUCCESS } from '../../contract/tpm-result.ts'
import type { CuseConfig } from '../serve/config.ts'
import type { RestRecord } from '../serve/rest/rest-record.ts'
import type { Session } from '../serve/session.ts'
import { SwtpmError } from '../system/errors.ts'
import { guarded } from '../system/guard.ts'
import type { DeviceDirectory } from '../system/io/device-directory.ts'
import { log } from '../system/log.ts'
import { CuseDevice } from './cuse-device.ts'
import { CuseServer } from './cuse-server.ts'

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
  serveDevice(session, device, config)
  const result = await tpm.engine.attach('cuse', device.fd)
  if (result !== TPM_SUCCESS) {
    throw new SwtpmError('SWTPM_ERR_DEVICE', `Cannot serve "${device.path}": the engine answered ${result}`)
  }
  session.writePidFile()
  log.info(`Serving ${device.path}`)
}

/** Goes on where an earlier supervisor has served. @throws SwtpmError */
export function resumeCuse(session: Session, config: CuseConfig, record: RestRecord): void {
  serveDevice(session, new CuseDevice(record.take('device'), session.device ?? ''), config)
  session.resumePidFile(record)
}

/** Answers what the engine leaves to us, and closes the device at the end. */
function serveDevice(session: Session, device: CuseDevice, { ioctlUsers }: CuseConfig): void {
  const { tpm } = session
  session.onEnd(() => device.close())
  const server = new CuseServer({
    tpm,
    fd: device.fd,
    mayControl: (uid) =>
      ioctlUsers === 'all' || uid === ROOT || (ioctlUsers === 'owner' && uid === process.getuid?.()),
    onShutdown: () => guarded(session.end(0)),
  })
  session.onRest((record) => {
    record.keep('device', device.fd)
    record.sharedState = true
    return server.idle
  })
  tpm.engine.on('clientClosed', (errno) => {
    // 0: a client has closed the device.
    if (errno !== 0 && !session.ending) endWithoutDevice(session, device.path)
  })
}

/** An administrator has aborted the connection, by /sys/class/cuse/NAME/abort for one. */
function endWithoutDevice(session: Session, path: string): void {
  const reason = `the kernel has taken device "${path}" away`
  log.error(`It ends: ${reason}`)
  guarded(session.end(1, reason))
}
