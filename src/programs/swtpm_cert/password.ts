/** Passwords from where the user keeps them. */
import { closeSync, openSync, readSync } from 'node:fs'
import { reasonOf } from '../../system/reason.ts'
import { ToolFailure } from '../common/tool-failure.ts'

const MAX_BYTES = 255

/**
 * Reads `file:NAME`, `fd:NUMBER`, `env:NAME`, `pass:PASSWORD` or a bare password. The bytes of a file count as they are,
 * a newline included, up to 255 of them.
 * @throws ToolFailure, never with the password in it
 */
export function readPassword(source: string): string {
  const [, scheme, rest = ''] = /^(file|fd|env|pass):([\s\S]*)$/.exec(source) ?? []
  switch (scheme) {
    case 'pass':
      return rest
    case 'env': {
      const value = process.env[rest]
      if (value === undefined)
        throw new ToolFailure(`The environment has no variable "${rest}" with the password`)
      return value
    }
    case 'fd':
      if (!/^\d+$/.test(rest)) throw new ToolFailure(`Bad file descriptor "${rest}" for the password`)
      return readBytes(`file descriptor ${rest}`, () => Number(rest))
    case 'file':
      return readBytes(`"${rest}"`, () => openSync(rest, 'r'))
    default:
      return source
  }
}

function readBytes(from: string, open: () => number): string {
  try {
    const fd = open()
    try {
      const buffer = Buffer.alloc(MAX_BYTES)
      let length = 0
      while (length < MAX_BYTES) {
        const got = readSync(fd, buffer, length, MAX_BYTES - length, null)
        if (got === 0) break
        length += got
      }
      return buffer.toString('utf8', 0, length)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    throw new ToolFailure(`Cannot read the password from ${from}: ${reasonOf(error)}`, { cause: error })
  }
}
