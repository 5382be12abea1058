/**
 * `--ready-fd`: how a program that starts this one learns when the TPM can be used, without a service manager. A line is written
 * to a descriptor that it has handed in. When the start fails, the descriptor is closed without that line.
 */
import { closeSync, writeSync } from 'node:fs'
import { log } from '../log.ts'
import { check } from '../native/check.ts'
import { native } from '../native/load.ts'
import { reasonOf } from '../reason.ts'

/** The line of sd_notify(3). What waits for any line, as s6 does, is served too. */
const READY = 'READY=1\n'

export interface InheritedDescriptor {
  readonly kind: 'fd'
  readonly fd: number
}

export class ReadyDescriptor {
  #fd: number | undefined

  /**
   * @param handedIn undefined without the option: the calls do nothing then
   */
  constructor(handedIn: InheritedDescriptor | undefined) {
    if (handedIn === undefined) return
    const { fd } = handedIn
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
