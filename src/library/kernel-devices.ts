/** Devices of the Linux kernel; making one takes root. */
import { randomInt } from 'node:crypto'
import { exposeCuse } from '../cuse/cuse-front-end.ts'
import { DeviceDirectory } from '../system/io/device-directory.ts'
import { exposeVtpmProxy } from '../vtpm-proxy/chardev-front-end.ts'
import { deviceOf, type Exposure } from './device.ts'
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
  async expose(session, _config, gone) {
    const devices = DeviceDirectory.open()
    try {
      const { tpmNum, close } = await exposeVtpmProxy(session, devices)
      const path = `/dev/tpm${tpmNum}`
      const { version } = session.tpm
      const resourceManager = version === '2' ? `/dev/tpmrm${tpmNum}` : undefined
      session.device = path
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
          session.device = undefined
          session.plug = undefined
          if (!session.ending) await session.tpm.engine.detach()
          close()
        },
      })
      session.plug = { out: () => device.unplug(), in: neverAgain }
      session.onEnd(() => device.unplug())
      return device
    } finally {
      devices.close()
    }
  },
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
  async expose(session, _config, gone) {
    const devices = DeviceDirectory.open()
    try {
      const { path, close } = await exposeCuse(session, name ?? `vtpm${randomInt(1000, 1_000_000)}`, devices)
      const { version } = session.tpm
      session.device = path
      const device = deviceOf({
        path,
        tcti: `device:${path}`,
        open: () => openDeviceFile(path, version),
        async unplug() {
          gone()
          session.device = undefined
          session.plug = undefined
          if (!session.ending) await session.tpm.engine.detach()
          close()
        },
      })
      session.plug = { out: () => device.unplug(), in: neverAgain }
      session.onEnd(() => device.unplug())
      return device
    } finally {
      devices.close()
    }
  },
})

/** A program exposes its TPM again itself. */
async function neverAgain(): Promise<void> {
  throw new Error('a device of a program does not come back by itself; expose the TPM again')
}
