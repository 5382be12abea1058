/**
 * The AES keys that protect state: read from a file or an open descriptor, or derived from a passphrase in one.
 *
 * State written by any swtpm must open with the same key file, so the rules are those of the format, not of taste: the
 * whole passphrase file is the passphrase, its newline included.
 * @see swtpm(8) --key, --migration-key
 */
import { closeSync, constants, openSync, readSync, unlinkSync } from 'node:fs'
import { SwtpmError } from '../../system/errors.ts'
import { reasonOf } from '../../system/reason.ts'

/** Where key material comes from and how it becomes an AES key. */
export interface KeySource {
  readonly origin:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'fd'; readonly fd: number }
  readonly material:
    | { readonly kind: 'key'; readonly format: 'hex' | 'binary' }
    | { readonly kind: 'passphrase'; readonly kdf: 'pbkdf2' | 'sha512' }
  /** Size of the AES key: 128 or 256 bits. */
  readonly keyBits: 128 | 256
  /** Remove the file once it has been read. */
  readonly remove: boolean
}

/** Longer files are no passphrase but a mistake, /dev/zero for one. */
const MATERIAL_MAX_BYTES = 1 << 20

/** A passphrase of so few bytes gets a warning. */
const SHORT_PASSPHRASE_BYTES = 6

const PBKDF2_SALT = 'swtpm'
const PBKDF2_ITERATIONS = 1000

/**
 * Reads the key: 16 or 32 bytes that the caller wipes after use. What was read on the way is wiped here.
 *
 * A descriptor is read from its current offset to the end of file and then closed (but not 0, 1 or 2, whose numbers would
 * be given to the next file). So a writer at the other end of a pipe has to close it.
 * With `remove` the file is unlinked; if that fails the key is good all the same, and `warn` is told.
 * @param warn hears of what is allowed but unwise
 * @throws {SwtpmError} SWTPM_ERR_STATE_KEY, for a file that cannot be read or holds no key of this size. Nothing has been
 * removed then.
 */
export function readStateKey(source: KeySource, warn: (message: string) => void = () => {}): Buffer {
  const { origin } = source
  const what = source.material.kind === 'key' ? 'key' : 'passphrase'
  const place = origin.kind === 'file' ? `${what} file "${origin.path}"` : `${what} descriptor ${origin.fd}`
  const material = readMaterial(source, place)
  try {
    const key = toKey(source, material, place, warn)
    if (source.remove && origin.kind === 'file') {
      try {
        unlinkSync(origin.path)
      } catch (error) {
        warn(`Cannot remove ${place}: ${reasonOf(error)}`)
      }
    }
    return key
  } finally {
    material.fill(0)
  }
}

function toKey(source: KeySource, material: Buffer, place: string, warn: (message: string) => void): Buffer {
  const keyBytes = source.keyBits / 8
  if (source.material.kind === 'passphrase') {
    if (material.length <= SHORT_PASSPHRASE_BYTES) {
      warn(`Warning: Passphrase is only ${material.length} bytes long`)
    }
    return derive(material, source.material.kdf, keyBytes)
  }
  return source.material.format === 'binary'
    ? binaryKey(material, keyBytes, place)
    : hexKey(material, keyBytes, place)
}

function derive(passphrase: Buffer, kdf: 'pbkdf2' | 'sha512', keyBytes: number): Buffer {
  // Loaded here: most TPMs have no key, and the module is felt at start-up.
  const crypto: typeof import('node:crypto') = require('node:crypto')
  if (kdf === 'pbkdf2')
    return crypto.pbkdf2Sync(passphrase, PBKDF2_SALT, PBKDF2_ITERATIONS, keyBytes, 'sha512')
  const digest = crypto.createHash('sha512').update(passphrase).digest()
  const key = emptyKey(keyBytes)
  digest.copy(key)
  digest.fill(0)
  return key
}

/** Outside the JavaScript heap, whose collector moves small arrays and leaves copies that cannot be wiped. */
const emptyKey = (keyBytes: number): Buffer => Buffer.from(new ArrayBuffer(keyBytes))

/**
 * A binary key has the size of the mode. (The reference takes 16 bytes with aes-256-cbc too and then encrypts with
 * AES-128; such a state opens with mode=aes-128-cbc.)
 */
function binaryKey(material: Buffer, keyBytes: number, place: string): Buffer {
  if (material.length !== keyBytes) {
    throw wrongKey(place, `has ${material.length} bytes, ${modeOf(keyBytes)} needs exactly ${keyBytes}`)
  }
  const key = emptyKey(keyBytes)
  material.copy(key)
  return key
}

/** Hex digits, optionally after `0x`; they end at the first white space, and what follows it does not matter. */
function hexKey(material: Buffer, keyBytes: number, place: string): Buffer {
  const start = material[0] === 0x30 && material[1] === 0x78 ? 2 : 0 // "0x"
  const key = emptyKey(keyBytes)
  const digitsNeeded = 2 * keyBytes
  let digits = 0
  // Digit by digit from the bytes: a string with the key in it could not be wiped.
  for (let at = start; at < material.length && !isSpace(material[at]!); at++, digits++) {
    const value = digitValue(material[at]!)
    if (value === undefined) {
      key.fill(0)
      throw wrongKey(place, `holds something else than hex digits at byte ${at}; for bytes say format=binary`)
    }
    if (digits < digitsNeeded) key[digits >> 1]! |= digits % 2 === 0 ? value << 4 : value
  }
  if (digits !== digitsNeeded) {
    key.fill(0)
    throw wrongKey(place, `has ${digits} hex digits, ${modeOf(keyBytes)} needs exactly ${digitsNeeded}`)
  }
  return key
}

const modeOf = (keyBytes: number): string => `mode=aes-${keyBytes * 8}-cbc`

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)
}

function digitValue(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : undefined
}

/** The whole file, in memory of its own. */
function readMaterial(source: KeySource, place: string): Buffer {
  const { origin } = source
  let fd: number | undefined
  let buffer = Buffer.alloc(1024)
  try {
    fd = origin.kind === 'fd' ? origin.fd : openSync(origin.path, constants.O_RDONLY)
    let length = 0
    for (;;) {
      const count = readSync(fd, buffer, length, buffer.length - length, null)
      if (count === 0) break
      length += count
      if (length > MATERIAL_MAX_BYTES) {
        throw new SwtpmError('SWTPM_ERR_STATE_KEY', `Cannot use ${place}: it is longer than 1 MiB`)
      }
      if (length === buffer.length) {
        const larger = Buffer.alloc(2 * buffer.length)
        buffer.copy(larger)
        buffer.fill(0)
        buffer = larger
      }
    }
    return buffer.subarray(0, length)
  } catch (error) {
    buffer.fill(0)
    if (error instanceof SwtpmError) throw error
    throw new SwtpmError('SWTPM_ERR_STATE_KEY', `Cannot read ${place}: ${reasonOf(error)}`, { cause: error })
  } finally {
    if (fd !== undefined && fd > 2) closeQuietly(fd)
  }
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd)
  } catch {
    // A descriptor that was never open has been reported by the read.
  }
}

function wrongKey(place: string, what: string): SwtpmError {
  return new SwtpmError('SWTPM_ERR_STATE_KEY', `Cannot use ${place}: it ${what}`)
}
