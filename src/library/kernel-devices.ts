/** Devices of the Linux kernel; making one takes root. */
import { randomInt } from 'node:crypto'
import { exposeCuse } from '../cuse/cuse-front-end.ts'
import type { Session } from '../serve/session.ts'
import { guarded } from '../system/guard.ts'
import { DeviceDirectory } from '../system/io/device-directory.ts'
import { exposeVtpmProxy } from '../vtpm-proxy/chardev-front-end.ts'
import { comesBackNot, type Device, deviceOf, type Exposure } from './device.ts'
import { openDeviceFile } from './device-file.ts'

/**
 * A device /dev/tpmN of the kernel itself, with its resource manager, made by /dev/vtpmx.
 * @example
 * ```js needs-root
 * import { createTpm, vtpmProxy } from 'swtpm'
 *
 * await using tpm = await createTpm()
 * await using device = await tpm.expose(vtpmProxy())
 * console.log(device.path, device.tcti) // /dev/tpm0 device:/dev/tpmrm0
 * ```
 */
export const vtpmProxy = (): Exposure => ({
  expose: (session, _config, gone) =>
    withDevices(async (devices) => {
      const { tpmNum, close } = await exposeVtpmProxy(session, devices)
      const path = `/dev/tpm${tpmNum}`
      const resourceManager = session.tpm.version === '2' ? `/dev/tpmrm${tpmNum}` : undefined
      // Whatever ends the connection to the kernel ends the device.
      return ownDevice(session, { path, resourceManager, endsWith: () => true, close }, gone)
    }),
})

/**
 * A device /dev/NAME by CUSE, which takes the PTM ioctls too.
 * @param options.name without it, a free one
 * @example
 * ```js needs-root
 * import { createTpm, cuse } from 'swtpm'
 *
 * await using tpm = await createTpm()
 * await using device = await tpm.expose(cuse({ name: 'vtpm9' }))
 * console.log((await device.exchange('80010000000c0000017b0008')).text) // SUCCESS
 * ```
 */
export const cuse = ({ name }: { readonly name?: string } = {}): Exposure => ({
  expose: (session, _config, gone) =>
    withDevices(async (devices) => {
      const { path, close } = await exposeCuse(session, name ?? `vtpm${randomInt(1000, 1_000_000)}`, devices)
      // 0: a client has closed the device.
      return ownDevice(session, { path, endsWith: (errno) => errno !== 0, close }, gone)
    }),
})

interface KernelDevice {
  readonly path: string
  readonly resourceManager?: string | undefined
  /** Whether the device goes with the connection that has ended so. */
  endsWith(errno: number): boolean
  /** Takes it away once the engine serves it no more. */
  close(): void
}

/** It is the session's device until it is unplugged, or the kernel or a script ends its connection. */
function ownDevice(session: Session, made: KernelDevice, gone: () => void): Device {
  const { path, resourceManager } = made
  const { engine, version } = session.tpm
  const onClientClosed = (errno: number): void => {
    if (made.endsWith(errno)) guarded(device.unplug())
  }
  const device = deviceOf({
    path,
    resourceManager,
    tcti: `device:${resourceManager ?? path}`,
    open: () => openDeviceFile(path, version),
    ...(resourceManager !== undefined && {
      openResourceManager: () => openDeviceFile(resourceManager, version),
    }),
    async unplug() {
      gone()
      engine.off('clientClosed', onClientClosed)
      session.device = undefined
      session.plug = undefined
      if (!session.ending) await engine.detach()
      made.close()
    },
  })
  engine.on('clientClosed', onClientClosed)
  session.device = path
  session.plug = { out: () => device.unplug(), in: comesBackNot }
  session.onEnd(() => device.unplug())
  return device
}

async function withDevices<T>(work: (devices: DeviceDirectory) => Promise<T>): Promise<T> {
  const devices = DeviceDirectory.open()
  try {
    return await work(devices)
  } finally {
    devices.close()
  }
}
