/** `swtpm cuse`: a character device /dev/NAME whose commands the engine pumps and whose ioctls come here. */

import { TPM_SUCCESS } from '../../contract/tpm-result.ts'
import type { CuseConfig } from '../serve/config.ts'
import type { Session } from '../serve/session.ts'
import { SwtpmError } from '../system/errors.ts'
import { log } from '../system/log.ts'
import { CuseDevice } from './cuse-device.ts'
import { CuseServer } from './cuse-server.ts'

/** Serves until the session ends. @throws SwtpmError */
export async function serveCuse(session: Session, config: CuseConfig): Promise<void> {
  const { tpm } = session
  await session.powerOn()
  const device = CuseDevice.create(config)
  session.onEnd(() => device.close())
  session.device = device.path
  new CuseServer({ tpm, fd: device.fd, onShutdown: () => void session.end(0) })
  const result = await tpm.engine.attach('cuse', device.fd)
  if (result !== TPM_SUCCESS) {
    throw new SwtpmError('SWTPM_ERR_DEVICE', `Cannot serve "${device.path}": the engine answered ${result}`)
  }
  session.writePidFile()
  log.info(`Serving ${device.path}`)
}
