/** The one answer of one FUSE request, written to the device by the supervisor. */
import { writeSync } from 'node:fs'
import { HOST } from '../../contract/struct.ts'
import { fuseOutHeader } from './fuse-protocol.ts'

/** Errors that say the request is no longer waited for: it was interrupted, or the device is gone. */
const NOT_WAITED_FOR = new Set(['ENOENT', 'ENODEV', 'ECONNABORTED', 'EPERM'])

export class FuseReply {
  readonly #fd: number
  readonly #unique: bigint
  #sent = false

  constructor(fd: number, unique: bigint) {
    this.#fd = fd
    this.#unique = unique
  }

  get sent(): boolean {
    return this.#sent
  }

  data(...parts: Buffer[]): void {
    this.#send(0, parts)
  }

  /** @param errno positive */
  error(errno: number): void {
    this.#send(-errno, [])
  }

  #send(error: number, parts: Buffer[]): void {
    if (this.#sent) throw new Error('a FUSE request was answered twice')
    this.#sent = true
    const len = fuseOutHeader.size + parts.reduce((sum, part) => sum + part.length, 0)
    const message = Buffer.concat([
      fuseOutHeader.encode({ len, error, unique: this.#unique }, HOST),
      ...parts,
    ])
    try {
      writeSync(this.#fd, message)
    } catch (cause) {
      if (!NOT_WAITED_FOR.has((cause as NodeJS.ErrnoException).code ?? '')) throw cause
    }
  }
}
