/** /dev/NAMErm: the device for many clients beside /dev/NAME. The engine serves it alone; nothing of it comes here. */
import type { CuseConfig } from '../serve/config.ts'
import type { Session } from '../serve/session.ts'
import type { DeviceDirectory } from '../system/io/device-directory.ts'
import { attach, endWithoutDevice } from './attach-device.ts'
import { CuseDevice } from './cuse-device.ts'

/** What the kernel puts behind `tpm` in /dev/tpmrm0. */
const SUFFIX = 'rm'

export class ManagedDevice {
  readonly #session: Session
  readonly #config: CuseConfig
  #device: CuseDevice | undefined

  /** @param fd of the device that an earlier supervisor has made */
  constructor(session: Session, config: CuseConfig, fd?: number) {
    this.#session = session
    this.#config = config
    if (fd !== undefined) this.#device = new CuseDevice(fd, this.path)
    session.onEnd(() => this.close())
    session.onRest((record) => {
      if (this.#device !== undefined) record.keep('managedDevice', this.#device.fd)
      return this.#device !== undefined
    })
    session.tpm.engine.on('managedClosed', () => {
      if (!session.ending) endWithoutDevice(session, this.path)
    })
  }

  get path(): string {
    return `/dev/${this.#name}`
  }

  get #name(): string {
    return `${this.#config.name}${SUFFIX}`
  }

  /** Makes it, and has the engine serve it. Where the user has chosen the numbers, its minor is the next one. @throws SwtpmError */
  async create(devices: DeviceDirectory): Promise<void> {
    const { major, minor, chroot } = this.#config
    const numbers = { major, minor: major === 0 ? 0 : minor + 1 }
    this.#device = await CuseDevice.create({ name: this.#name, ...numbers, chroot }, devices)
    this.#session.goOn()
    await attach(this.#session.tpm, this.#device, 'managedCuse')
  }

  close(): void {
    this.#device?.close()
    this.#device = undefined
  }
}
