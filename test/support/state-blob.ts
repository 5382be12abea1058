/**
 * The format of state files and state blobs, written down a second time for tests: what the program writes is read by these
 * rules, and files that no current writer makes (version 1) are made by them.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, pbkdf2Sync } from 'node:crypto'

export const FLAG = {
  encrypted: 1,
  migrationEncrypted: 2,
  migrationData: 4,
  fileKey256: 8,
  migrationKey256: 0x10,
} as const

export const TAG = {
  data: 1,
  encryptedData: 2,
  hmac: 3,
  migrationData: 4,
  encryptedMigrationData: 5,
  ivEncryptedData: 6,
  ivEncryptedMigrationData: 7,
} as const

const HEADER_SIZE = 10

export interface StateBlob {
  readonly version: number
  readonly minimumVersion: number
  readonly headerSize: number
  readonly flags: number
  readonly totalLength: number
  readonly payload: Buffer
}

export function parseStateBlob(bytes: Buffer): StateBlob {
  return {
    version: bytes.readUInt8(0),
    minimumVersion: bytes.readUInt8(1),
    headerSize: bytes.readUInt16BE(2),
    flags: bytes.readUInt16BE(4),
    totalLength: bytes.readUInt32BE(6),
    payload: bytes.subarray(HEADER_SIZE),
  }
}

/** The fields of a version-2 payload in their order. */
export function parseFields(payload: Buffer): Map<number, Buffer> {
  const fields = new Map<number, Buffer>()
  for (let at = 0; at < payload.length; ) {
    const tag = payload.readUInt16BE(at)
    const length = payload.readUInt32BE(at + 2)
    at += 6
    fields.set(tag, payload.subarray(at, at + length))
    at += length
  }
  return fields
}

export const passphraseKey = (
  passphrase: string | Buffer,
  kdf: 'pbkdf2' | 'sha512',
  keyBytes: number,
): Buffer =>
  kdf === 'pbkdf2'
    ? pbkdf2Sync(passphrase, 'swtpm', 1000, keyBytes, 'sha512')
    : createHash('sha512').update(passphrase).digest().subarray(0, keyBytes)

/**
 * Checks the HMAC, decrypts and takes off the padding.
 * @param tags of the ciphertext and of its IV
 */
export function decryptFields(
  key: Buffer,
  fields: Map<number, Buffer>,
  [dataTag, ivTag]: readonly [number, number],
): Buffer {
  const ciphertext = fields.get(dataTag) as Buffer
  const iv = fields.get(ivTag) as Buffer
  if (iv.length !== key.length) throw new Error(`an IV of ${iv.length} bytes for a key of ${key.length}`)
  const hmac = createHmac('sha256', key).update(ciphertext).update(iv).digest()
  if (!hmac.equals(fields.get(TAG.hmac) as Buffer)) throw new Error('the HMAC is another one')
  const decipher = createDecipheriv(cipherOf(key), key, iv.subarray(0, 16)).setAutoPadding(false)
  const padded = Buffer.concat([decipher.update(ciphertext), decipher.final()])
  const padding = padded.at(-1) as number
  if (padded.length % key.length !== 0 || padding < 1 || padding > key.length) {
    throw new Error(`a padding of ${padding} bytes in ${padded.length}`)
  }
  return padded.subarray(0, padded.length - padding)
}

/** A blob of version 1: no fields; with a key CBC with a zero IV over SHA-256 of the data and the data. */
export function makeVersion1(data: Buffer, key?: Buffer, flags = 0): Buffer {
  const payload = key === undefined ? data : encryptVersion1(data, key)
  const header = Buffer.alloc(HEADER_SIZE)
  header.writeUInt8(1, 0)
  header.writeUInt8(1, 1)
  header.writeUInt16BE(HEADER_SIZE, 2)
  header.writeUInt16BE(flags, 4)
  header.writeUInt32BE(HEADER_SIZE + payload.length, 6)
  return Buffer.concat([header, payload])
}

function encryptVersion1(data: Buffer, key: Buffer): Buffer {
  const hashed = Buffer.concat([createHash('sha256').update(data).digest(), data])
  const padding = key.length - (hashed.length % key.length)
  const cipher = createCipheriv(cipherOf(key), key, Buffer.alloc(16)).setAutoPadding(false)
  return Buffer.concat([cipher.update(hashed), cipher.update(Buffer.alloc(padding, padding)), cipher.final()])
}

const cipherOf = (key: Buffer): string => `aes-${key.length * 8}-cbc`
