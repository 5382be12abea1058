/**
 * `--ready-fd`: how a program that starts this one learns when the TPM can be used, without a service manager. A line is written
 * to a descriptor that it has handed in. When the start fails, the descriptor is closed without that line.
 */
import { closeSync, constants, writeSync } from 'node:fs'
import { SwtpmError } from '../errors.ts'
import { log } from '../log.ts'
import { check } from '../native/check.ts'
import { native } from '../native/load.ts'
import { reasonOf } from '../reason.ts'
import { fileFlags, isHandedIn } from './inherited-descriptors.ts'

/** The line of sd_notify(3). What waits for any line, as s6 does, is served too. */
const READY = 'READY=1\n'
/** @see fcntl(2) F_GETFL, O_ACCMODE */
const ACCESS_MODE = 3

export interface InheritedDescriptor {
  readonly kind: 'fd'
  readonly fd: number
}

export class ReadyDescriptor {
  #fd: number | undefined

  /**
   * Call it before anything else is opened: a number that is free now would be another file's later.
   * @param handedIn undefined without the option: the calls do nothing then
   * @throws SwtpmError SWTPM_ERR_READY_FD
   */
  constructor(handedIn: InheritedDescriptor | undefined) {
    if (handedIn === undefined) return
    const { fd } = handedIn
    const reason = !isHandedIn(fd)
      ? `it is not open; hand it in as a shell does with ${fd}>FILE`
      : isReadOnly(fd)
        ? 'it is open for reading only'
        : undefined
    if (reason !== undefined)
      throw new SwtpmError('SWTPM_ERR_READY_FD', `Cannot use descriptor ${fd} for --ready-fd: ${reason}`)
    check(native.setCloseOnExec(fd, true), `use descriptor ${fd}`)
    this.#fd = fd
  }

  /** Clients can use the TPM from now on. */
  ready(): void {
    if (this.#fd === undefined) return
    try {
      writeSync(this.#fd, READY)
    } catch (error) {
      log.warn(`Cannot write to descriptor ${this.#fd} of --ready-fd: ${reasonOf(error)}`)
    }
    this.close()
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }
}

/** Where /proc is not mounted, writing tells. */
function isReadOnly(fd: number): boolean {
  const flags = fileFlags(fd)
  return flags !== undefined && (flags & ACCESS_MODE) === constants.O_RDONLY
}
