/** A client of a device that many programs have open at once. */
import { type DeviceHandle, openDevice } from './cuse-tpm.ts'
import { SpaceClient } from './space-client.ts'
import type { Cleanup } from './swtpm.ts'

export interface SharedDevice extends SpaceClient {
  readonly device: DeviceHandle
}

export function openShared(t: Cleanup, path: string): SharedDevice {
  const device = openDevice(t, path)
  const send = async (command: Uint8Array): Promise<Buffer> => {
    device.write(command)
    return device.readLater()
  }
  return Object.assign(new SpaceClient(send), { device })
}
