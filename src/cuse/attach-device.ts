/** A device that the engine serves, and that the kernel may take away. */
import { TPM_SUCCESS } from '../../contract/tpm-result.ts'
import type { Session } from '../serve/session.ts'
import { SwtpmError } from '../system/errors.ts'
import { guarded } from '../system/guard.ts'
import { log } from '../system/log.ts'
import type { Tpm } from '../tpm/tpm.ts'
import type { CuseDevice } from './cuse-device.ts'

/** Has the engine serve it. @throws SwtpmError */
export async function attach(
  tpm: Tpm,
  { fd, path }: CuseDevice,
  kind: 'cuse' | 'managedCuse' = 'cuse',
): Promise<void> {
  const result = await tpm.engine.attach(kind, fd)
  if (result === TPM_SUCCESS) return
  throw new SwtpmError('SWTPM_ERR_DEVICE', `Cannot serve "${path}": the engine answered ${result}`)
}

/** An administrator has aborted the connection, by /sys/class/cuse/NAME/abort for one. */
export function endWithoutDevice(session: Session, path: string): void {
  const reason = `the kernel has taken device "${path}" away`
  log.error(`It ends: ${reason}`)
  guarded(session.end(1, reason))
}
