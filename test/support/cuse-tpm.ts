/** A CUSE TPM of this tree on a real kernel, and a client that has its device open. */
import { closeSync, openSync, read, readSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { HOST } from '../../contract/struct.ts'
import {
  ioctlNumber,
  ioctlSize,
  type Request,
  type Response,
  VERBS,
  type Verb,
  type VerbName,
} from '../../contract/verbs.ts'
import { ioctl } from '../../src/system/io/ioctl.ts'
import { type Cleanup, SECCOMP, Swtpm, temporaryDirectory, untilReady } from './swtpm.ts'
import { asksAgain } from './tpm-client.ts'

let count = 0
/** A device name that no other test of this process has. */
export const deviceName = (): string => `vtpm${process.pid}x${count++}`

export interface CuseTpm {
  readonly swtpm: Swtpm
  readonly path: string
  readonly directory: string
}

/** Takes commands at once. */
export const STARTED = ['--tpm2', '--flags', 'startup-clear'] as const

/** `swtpm cuse --foreground`, its device there. */
export async function startCuseTpm(
  t: Cleanup,
  args: readonly string[] = ['--tpm2'],
  directory = temporaryDirectory(t),
): Promise<CuseTpm> {
  const name = deviceName()
  const path = `/dev/${name}`
  const options = [
    '--foreground',
    '-n',
    name,
    '--tpmstate',
    `dir=${directory}`,
    '--ready-fd',
    '3',
    ...SECCOMP,
    ...args,
  ]
  const swtpm = new Swtpm(['cuse', ...options], { stdio: ['pipe'] })
  t.after(() => swtpm.stop('SIGKILL'))
  await untilReady(swtpm)
  return { swtpm, path, directory }
}

const readAsync = promisify(read)

/** The device, open: TPM commands by write() and read(), verbs by ioctl(). */
export class DeviceHandle {
  readonly fd: number

  constructor(path: string) {
    this.fd = openSync(path, 'r+')
  }

  write(bytes: Uint8Array): number {
    return writeSync(this.fd, bytes)
  }

  read(size = 4096): Buffer {
    const buffer = Buffer.alloc(size)
    return buffer.subarray(0, readSync(this.fd, buffer))
  }

  /** Waits for the response on another thread. */
  async readLater(size = 4096): Promise<Buffer> {
    const { bytesRead, buffer } = await readAsync(this.fd, Buffer.alloc(size), 0, size, null)
    return buffer.subarray(0, bytesRead)
  }

  /** One command and its response; repeated as the kernel does when the TPM asks for it. */
  command(bytes: Uint8Array): Buffer {
    for (;;) {
      this.write(bytes)
      const response = this.read()
      if (!asksAgain(response)) return response
    }
  }

  /** An ioctl with this argument, whatever it is. */
  raw(request: number, argument: Buffer): Buffer {
    ioctl(this.fd, request, argument)
    return argument
  }

  verb<V extends VerbName>(name: V, request: Partial<Request<V>> = {}): Response<V> {
    const { req, resp }: Verb = VERBS[name]
    const argument = Buffer.alloc(ioctlSize(name))
    if (req.size > 0) argument.set(req.encode(request, HOST))
    return resp.decode(this.raw(ioctlNumber(name), argument), HOST) as Response<V>
  }

  close(): void {
    closeSync(this.fd)
  }
}

/** The device, open until the end of the test. */
export function openDevice(t: Cleanup, path: string): DeviceHandle {
  const handle = new DeviceHandle(path)
  t.after(() => {
    try {
      handle.close()
    } catch {
      // The test has closed it.
    }
  })
  return handle
}
