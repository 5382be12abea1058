/** A TPM behind a Unix or TCP socket that takes TPM commands as they are: swtpm's, ours or the C program's, or libtpms in another. */
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { HEADER_BYTES } from '../tpm-structures/message.ts'
import {
  ANSWER_LIMIT_MS,
  late,
  MAX_RESPONSE_BYTES,
  type OtherTpm,
  otherTpmFault,
  Turns,
} from './other-tpm.ts'

const CONNECT_LIMIT_MS = 10_000

export class SocketTpm implements OtherTpm {
  readonly name: string
  readonly #address: NetConnectOpts
  readonly #turns = new Turns()
  #socket: Socket | undefined

  private constructor(name: string, address: NetConnectOpts) {
    this.name = name
    this.#address = address
  }

  /** @throws SwtpmError SWTPM_ERR_OTHER_TPM */
  static async open(name: string, address: NetConnectOpts): Promise<SocketTpm> {
    const tpm = new SocketTpm(name, address)
    await tpm.#turns.take(() => tpm.#connected())
    return tpm
  }

  ask(command: Buffer): Promise<Buffer> {
    return this.#turns.take(async () => {
      const socket = await this.#connected()
      try {
        return await exchange(socket, command)
      } catch (error) {
        // What it still answers is to this command.
        this.close()
        throw otherTpmFault(this.name, error)
      }
    })
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }

  async #connected(): Promise<Socket> {
    if (this.#socket !== undefined && !this.#socket.destroyed && this.#socket.readable) return this.#socket
    this.close()
    try {
      this.#socket = await connected(this.#address)
      return this.#socket
    } catch (error) {
      throw otherTpmFault(this.name, error)
    }
  }
}

function connected(address: NetConnectOpts): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...address, noDelay: true } as NetConnectOpts)
    const fail = (error: Error): void => {
      clearTimeout(timer)
      socket.destroy()
      reject(error)
    }
    const timer = setTimeout(
      () => fail(new Error(`no connection within ${CONNECT_LIMIT_MS / 1000} s`)),
      CONNECT_LIMIT_MS,
    )
    socket.once('error', fail).once('connect', () => {
      clearTimeout(timer)
      // What happens between two commands is found out by the next one.
      socket.off('error', fail).on('error', () => {})
      resolve(socket)
    })
  })
}

function exchange(socket: Socket, command: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let got: Buffer = Buffer.alloc(0)
    const end = (finish: () => void): void => {
      clearTimeout(timer)
      socket.off('data', onData).off('close', onClose).off('end', onClose).off('error', onError)
      finish()
    }
    const onError = (error: Error): void => end(() => reject(error))
    const onClose = (): void => onError(new Error('it has closed the connection'))
    const onData = (piece: Buffer): void => {
      got = Buffer.concat([got, piece])
      if (got.length < HEADER_BYTES) return
      const size = got.readUInt32BE(2)
      if (size < HEADER_BYTES || size > MAX_RESPONSE_BYTES || got.length > size)
        onError(new Error(`its response has ${got.length} bytes and says ${size}`))
      else if (got.length === size) end(() => resolve(got))
    }
    const timer = setTimeout(() => onError(late()), ANSWER_LIMIT_MS)
    socket.on('data', onData).on('close', onClose).on('end', onClose).on('error', onError)
    socket.write(command)
  })
}
