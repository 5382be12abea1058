/** A TPM's device, open: what its driver answers, and with which errors. */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { constants as system } from 'node:os'
import { fromHex } from '../../../../responders/effects/instead.ts'

/** More than any response. */
const BUFFER_BYTES = 8192

const NAMES = new Map(Object.entries(system.errno).map(([name, number]) => [number, name]))

/** The name of an errno, "ETIME". */
export type ErrorName = string

export class TpmFile {
  readonly fd: number
  #isOpen = true

  constructor(path: string, nonBlocking = false) {
    this.fd = openSync(path, constants.O_RDWR | (nonBlocking ? constants.O_NONBLOCK : 0))
  }

  /** @returns the response, or the name of the error with which write() or read() has failed */
  exchange(command: Buffer | string): Buffer | ErrorName {
    return this.write(command) ?? this.read()
  }

  /** @param command bytes, or hexadecimal digits */
  write(command: Buffer | string): ErrorName | undefined {
    try {
      writeSync(this.fd, typeof command === 'string' ? fromHex(command) : command)
      return undefined
    } catch (error) {
      return nameOf(error)
    }
  }

  read(bytes = BUFFER_BYTES): Buffer | ErrorName {
    const buffer = Buffer.alloc(bytes)
    try {
      return buffer.subarray(0, readSync(this.fd, buffer))
    } catch (error) {
      return nameOf(error)
    }
  }

  close(): void {
    if (this.#isOpen) closeSync(this.fd)
    this.#isOpen = false
  }
}

/** Node has no name for ETIME. */
function nameOf(error: unknown): ErrorName {
  const { errno } = error as NodeJS.ErrnoException
  if (errno === undefined) throw error
  return NAMES.get(-errno) ?? String(-errno)
}

/** A response's code; undefined for what is none. */
export const codeOf = (response: Buffer | ErrorName): number | undefined =>
  typeof response === 'string' || response.length < 10 ? undefined : response.readUInt32BE(6)

/** What came, for a person. */
export function told(response: Buffer | ErrorName): string {
  if (typeof response === 'string') return response
  const code = codeOf(response)
  return `${response.length} bytes${code === undefined ? '' : `, code 0x${code.toString(16)}`}`
}
