/**
 * A virtual machine monitor as swtpm sees it: one control connection, over which it hands in the data connection. Byte
 * level; nothing of the program's own framing is used, so that a mistake there cannot hide.
 */

import { closeSync } from 'node:fs'
import { DescriptorSocket } from '../../src/system/io/descriptor-socket.ts'
import { check } from '../../src/system/native/check.ts'
import { native } from '../../src/system/native/load.ts'
import { connectUnix } from './connect-unix.ts'
import { CMD } from './control-commands.ts'
import type { Cleanup } from './swtpm.ts'
import { waitFor } from './wait.ts'

/** A connection whose answers are read in known lengths. */
class Stream {
  readonly #socket: DescriptorSocket
  #received = Buffer.alloc(0)
  #closed = false

  constructor(t: Cleanup, fd: number) {
    this.#socket = new DescriptorSocket(fd)
    this.#socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk])
    })
    this.#socket.on('close', () => {
      this.#closed = true
    })
    t.after(() => this.close())
  }

  send(bytes: Buffer, fds: readonly number[] = []): void {
    this.#socket.write(bytes, fds)
  }

  /** Exactly these many bytes; more having arrived is an error, as the answer was read whole. */
  async answer(length: number, what: string): Promise<Buffer> {
    await waitFor(() => this.#closed || this.#received.length >= length, { what })
    return this.#take(length, what)
  }

  async answerWithData(what: string): Promise<Buffer> {
    const size = (): number =>
      this.#received.length < 16 ? Number.NaN : 16 + this.#received.readUInt32BE(12)
    await waitFor(() => this.#closed || this.#received.length >= size(), { what })
    return this.#take(size(), what)
  }

  async response(): Promise<Buffer> {
    const size = (): number => (this.#received.length < 6 ? Number.NaN : this.#received.readUInt32BE(2))
    await waitFor(() => this.#closed || this.#received.length >= size(), { what: 'a TPM response' })
    return this.#take(size(), 'a TPM response')
  }

  close(): void {
    this.#socket.close()
  }

  #take(length: number, what: string): Buffer {
    const bytes = this.#received
    this.#received = Buffer.alloc(0)
    if (bytes.length !== length) throw new Error(`${what}: ${bytes.length} bytes: ${bytes.toString('hex')}`)
    return bytes
  }
}

export class VmmClient {
  readonly #t: Cleanup
  readonly #control: Stream

  /** @param controlPath the control socket, which must listen */
  constructor(t: Cleanup, controlPath: string) {
    this.#t = t
    this.#control = new Stream(t, connectUnix(controlPath))
  }

  /**
   * One control command.
   * @param hex code and body
   * @param answerLength bytes of the answer, its result included
   * @returns the answer in hex
   */
  async control(hex: string, answerLength = 4, fds: readonly number[] = []): Promise<string> {
    this.#control.send(Buffer.from(hex.replace(/\s+/g, ''), 'hex'), fds)
    return (await this.#control.answer(answerLength, `the answer to ${hex}`)).toString('hex')
  }

  /** The same for GET_STATEBLOB, whose answer tells in its fourth word how many bytes follow its 16. */
  async controlWithData(hex: string): Promise<string> {
    this.#control.send(Buffer.from(hex.replace(/\s+/g, ''), 'hex'))
    return (await this.#control.answerWithData(`the answer to ${hex}`)).toString('hex')
  }

  /** SET_DATAFD. @returns what sends a TPM command and waits for its response, and the end of it */
  async handInData(): Promise<VmmData> {
    const [ours, theirs] = check(native.socketPair(), 'make a data connection')
    const result = await this.control(CMD.SET_DATAFD, 4, [theirs])
    closeSync(theirs)
    const stream = new Stream(this.#t, ours)
    if (result !== '00000000') throw new Error(`SET_DATAFD: ${result}`)
    return {
      command(bytes) {
        stream.send(Buffer.from(bytes))
        return stream.response()
      },
      close: () => stream.close(),
    }
  }

  close(): void {
    this.#control.close()
  }
}

export interface VmmData {
  command(bytes: Uint8Array): Promise<Buffer>
  close(): void
}
