/** PTM verbs as ioctls of a CUSE TPM: structures in host byte order, arrays at full size. */
import { HOST } from '../../contract/struct.ts'
import { TPM_SUCCESS } from '../../contract/tpm-result.ts'
import {
  ioctlNumber,
  ioctlSize,
  type Outcome,
  type Request,
  VERBS,
  type Verb,
  type VerbName,
} from '../../contract/verbs.ts'
import { GuardedDevice } from './guarded-device.ts'
import type { BlobStream, PtmClient } from './ptm-client.ts'

export class DeviceClient implements PtmClient {
  readonly #device: GuardedDevice
  readonly #timeoutMs: number
  readonly stream: BlobStream

  /** @throws SwtpmError SWTPM_ERR_DEVICE */
  constructor(path: string, timeoutMs: number) {
    const device = GuardedDevice.ofTpm(path, timeoutMs)
    this.#device = device
    this.#timeoutMs = timeoutMs
    this.stream = {
      read: (size) => device.read(size, timeoutMs),
      write: (bytes) => device.write(bytes, timeoutMs),
    }
  }

  async call<V extends VerbName>(verb: V, request: Request<V>, extraTimeMs = 0): Promise<Outcome<V>> {
    const row: Verb = VERBS[verb]
    // Request and response share the memory.
    const argument = Buffer.alloc(ioctlSize(verb))
    row.req.encode(request, HOST).copy(argument)
    this.#device.ioctl(ioctlNumber(verb), argument, this.#timeoutMs + extraTimeMs, `PTM_${verb}`)

    const value = row.resp.decode(argument, HOST) as Record<string, unknown>
    const { tpmResult, length } = value
    if (typeof tpmResult === 'number' && tpmResult !== TPM_SUCCESS) return { tpmResult }
    for (const [name, bytes] of Object.entries(value)) {
      if (bytes instanceof Buffer) value[name] = bytes.subarray(0, length as number)
    }
    return value as Outcome<V>
  }

  close(): void {
    this.#device.close()
  }
}
