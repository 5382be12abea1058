/** A character device whose every system call has a time limit. */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { SwtpmError } from '../system/errors.ts'
import { fileKind } from '../system/file-kind.ts'
import { ioctl } from '../system/io/ioctl.ts'
import { reasonOf } from '../system/reason.ts'
import { accessHint } from './access-hint.ts'
import { Watchdog } from './watchdog.ts'

export class GuardedDevice {
  readonly #path: string
  readonly #watchdog = new Watchdog()
  readonly #fd: number

  /**
   * Opens the character device of a TPM, and nothing else: to write a command into a file would destroy it.
   * @throws SwtpmError SWTPM_ERR_DEVICE
   */
  static ofTpm(path: string, timeoutMs: number): GuardedDevice {
    const kind = fileKind(path)
    if (kind === undefined || kind === 'a character device') return new GuardedDevice(path, timeoutMs)
    const hint =
      kind === 'a Unix socket'
        ? `; use --unix ${path}`
        : '; a device is named, such as /dev/vtpm0 of swtpm cuse'
    throw new SwtpmError('SWTPM_ERR_DEVICE', `Unable to open device "${path}": it is ${kind}${hint}`)
  }

  /** @throws SwtpmError SWTPM_ERR_DEVICE */
  constructor(path: string, timeoutMs: number) {
    this.#path = path
    this.#fd = this.#guard(timeoutMs, 'open', `Unable to open device "${path}"`, () =>
      openSync(path, constants.O_RDWR),
    )
  }

  /** @param what the request's name, for messages */
  ioctl(request: number, argument: Buffer, timeoutMs: number, what: string): void {
    this.#guard(timeoutMs, 'ioctl', `Could not execute ${what} on device "${this.#path}"`, () =>
      ioctl(this.#fd, request, argument),
    )
  }

  /** One read(), as the device's drivers give one message for each. */
  read(size: number, timeoutMs: number): Buffer {
    const buffer = Buffer.alloc(size)
    const got = this.#guard(timeoutMs, 'read', `Could not read from device "${this.#path}"`, () =>
      readSync(this.#fd, buffer),
    )
    return buffer.subarray(0, got)
  }

  /** @throws SwtpmError SWTPM_ERR_DEVICE also when the device takes a part only */
  write(bytes: Buffer, timeoutMs: number): void {
    const what = `Could not write to device "${this.#path}"`
    const written = this.#guard(timeoutMs, 'write', what, () => writeSync(this.#fd, bytes))
    if (written !== bytes.length) {
      throw new SwtpmError('SWTPM_ERR_DEVICE', `${what}: it took ${written} of ${bytes.length} bytes`)
    }
  }

  close(): void {
    closeSync(this.#fd)
  }

  #guard<T>(timeoutMs: number, call: Call, what: string, run: () => T): T {
    const seconds = timeoutMs / 1000
    try {
      return this.#watchdog.guard(timeoutMs, `${what}: no answer within ${seconds} s; its server hangs`, run)
    } catch (error) {
      throw new SwtpmError('SWTPM_ERR_DEVICE', `${what}: ${reason(error, call, this.#path)}`, {
        cause: error,
      })
    }
  }
}

type Call = 'open' | 'ioctl' | 'read' | 'write'

const HINTS: { readonly [code: string]: string | undefined } = {
  'open ENOENT': 'is the TPM running?',
  'open EBUSY': 'another program has it open',
  'open ENODEV': 'the TPM has ended',
  'open ENXIO': 'the TPM has ended',
  'ioctl ENOTTY': 'only the devices of swtpm cuse take it',
  'ioctl EINVAL': 'this TPM does not have it',
  'ioctl ENODEV': 'the TPM has ended',
}

function reason(error: unknown, call: Call, path: string): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT' && /^[^/]*:\d+$/.test(path))
    return `${reasonOf(error)}; a TCP port is named by --tcp ${path}`
  const hint =
    call === 'open' && (code === 'EACCES' || code === 'EPERM') ? accessHint(path) : HINTS[`${call} ${code}`]
  return hint === undefined ? reasonOf(error) : `${reasonOf(error)}; ${hint}`
}
