/** Where clients meet a TPM: its device or socket. */

import type { Response } from '../responders/response.ts'
import type { SocketConfig } from '../serve/config.ts'
import type { Session } from '../serve/session.ts'
import { SwtpmError } from '../system/errors.ts'
import type { DeviceFile } from './device-file.ts'

/** Made by `tpm.expose()`. `await using` takes it away. */
export interface Device extends AsyncDisposable {
  /** `/dev/tpm3`, `/dev/vtpm9`, `/tmp/…/tpm.sock`, `127.0.0.1:2321`. */
  readonly path: string
  /** `/dev/tpmrm3`; undefined where there is none. */
  readonly resourceManager: string | undefined
  /** For tpm2-tss and its tools: `device:/dev/tpmrm3`, `swtpm:path=…`. */
  readonly tcti: string
  /**
   * Sends a command as a client of its own: it opens the device or connects, and closes it.
   * @throws Error with the `code` of the errno, such as `ETIME`
   */
  exchange(command: Buffer | string): Promise<Response>
  /** Opens the device, or connects. */
  open(): Promise<DeviceFile>
  /** Opens the resource manager of the kernel. @throws Error: this device has none */
  openResourceManager(): Promise<DeviceFile>
  /** Takes it away while clients may have it open. The TPM stays, and can be exposed again. */
  unplug(): Promise<void>
  /** {@link unplug}. */
  close(): Promise<void>
}

/** Where a TPM can be exposed: `vtpmProxy()`, `cuse()`, `unixSocket()`, `tcpSocket()`. */
export interface Exposure {
  /** @param gone is called when the device has gone, however that came */
  expose(session: Session, config: SocketConfig, gone: () => void): Promise<ControlledDevice>
}

export type ControlledDevice = Device

interface Way {
  readonly path: string
  readonly resourceManager?: string | undefined
  readonly tcti: string
  readonly open: () => Promise<DeviceFile>
  readonly openResourceManager?: () => Promise<DeviceFile>
  readonly unplug: () => Promise<void>
}

/** What all devices have in common. */
export function deviceOf({ path, resourceManager, tcti, open, openResourceManager, unplug }: Way): Device {
  let unplugged: Promise<void> | undefined
  const once = (): Promise<void> => {
    unplugged ??= unplug()
    return unplugged
  }
  return {
    path,
    resourceManager,
    tcti,
    open,
    async exchange(command) {
      const file = await open()
      try {
        return await file.exchange(command)
      } finally {
        await file.close()
      }
    },
    async openResourceManager() {
      if (openResourceManager === undefined) throw new Error(`"${path}" has no resource manager`)
      return openResourceManager()
    },
    unplug: once,
    close: once,
    [Symbol.asyncDispose]: once,
  }
}

/** A program exposes its TPM again itself. @throws SwtpmError */
export async function comesBackNot(): Promise<void> {
  throw new SwtpmError(
    'SWTPM_ERR_DEVICE',
    'Cannot plug the TPM in again: the device of a program does not come back by itself; expose the TPM again',
  )
}
