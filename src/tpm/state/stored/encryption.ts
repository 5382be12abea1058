/**
 * The encryption of states, by the rules of swtpm's files: AES-CBC, then an HMAC with the same key; the padding fills up to the
 * size of the key, and the IV field is as long as the key.
 * @see native/state/blob_crypto.h, which says more
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import { BLOB_FLAG, BLOB_TAG } from '../../../../contract/state-format.ts'
import { type BlobTag, type Container, fieldsOf, makeField } from './container.ts'
import { damaged, StateFault } from './state-fault.ts'

const AES_BLOCK_BYTES = 16
const SHA256_BYTES = 32

/** Which fields and flags belong to one layer of encryption. */
export interface Envelope {
  readonly dataTag: BlobTag
  readonly plainTag: BlobTag
  readonly ivTag: BlobTag
  readonly encryptedFlag: number
  readonly key256Flag: number
  /** The option that gives the key. */
  readonly option: 'key' | 'migration-key'
}

export const FILE_ENVELOPE: Envelope = {
  dataTag: BLOB_TAG.ENCRYPTED_DATA,
  plainTag: BLOB_TAG.DATA,
  ivTag: BLOB_TAG.IV_ENCRYPTED_DATA,
  encryptedFlag: BLOB_FLAG.ENCRYPTED,
  key256Flag: BLOB_FLAG.FILE_KEY_256,
  option: 'key',
}

export const MIGRATION_ENVELOPE: Envelope = {
  dataTag: BLOB_TAG.ENCRYPTED_MIGRATION_DATA,
  plainTag: BLOB_TAG.MIGRATION_DATA,
  ivTag: BLOB_TAG.IV_ENCRYPTED_MIGRATION_DATA,
  encryptedFlag: BLOB_FLAG.MIGRATION_ENCRYPTED,
  key256Flag: BLOB_FLAG.MIGRATION_KEY_256,
  option: 'migration-key',
}

export interface Layer {
  readonly version: number
  readonly flags: number
  readonly payload: Buffer
}

/** The size in bits of the key that a layer needs; undefined where it is not encrypted, `'any'` where it does not say. */
export function keyBitsOf(
  { version, flags }: Pick<Container, 'version' | 'flags'>,
  envelope: Envelope,
): 128 | 256 | 'any' | undefined {
  if ((flags & envelope.encryptedFlag) === 0) return undefined
  if (version === 1) return 'any'
  return (flags & envelope.key256Flag) === 0 ? 128 : 256
}

/**
 * What is in one layer of encryption, or of none.
 * @param key for state that is encrypted; not used otherwise
 * @throws StateFault
 */
export function openLayer(layer: Layer, envelope: Envelope, key: Buffer | undefined): Buffer {
  const bits = keyBitsOf(layer, envelope)
  if (bits === undefined) return plainOf(layer, envelope)
  const kind = envelope.option === 'key' ? 'state' : 'migration'
  if (key === undefined)
    throw new StateFault(
      'key',
      `it is encrypted, and no ${kind} key was given; --${envelope.option} file=FILE or pwdfile=FILE gives it`,
    )
  if (layer.version === 1) return decryptVersion1(layer.payload, key)
  if (bits !== key.length * 8)
    throw new StateFault(
      'key',
      `it needs a ${bits} bit key, and the given one has ${key.length * 8}; --${envelope.option} …,mode=aes-${bits}-cbc`,
    )
  return decryptFields(fieldsOf(layer.payload), envelope, key)
}

function plainOf({ version, payload }: Layer, { plainTag }: Envelope): Buffer {
  if (version === 1) return payload
  const data = fieldsOf(payload).get(plainTag)
  if (data === undefined) throw damaged('its data field is missing')
  return data
}

function decryptFields(
  fields: ReadonlyMap<number, Buffer>,
  { dataTag, ivTag }: Envelope,
  key: Buffer,
): Buffer {
  const ciphertext = fields.get(dataTag)
  const hmac = fields.get(BLOB_TAG.HMAC)
  const iv = fields.get(ivTag)
  if (ciphertext === undefined || hmac?.length !== SHA256_BYTES)
    throw damaged('its ciphertext or its HMAC is missing')
  if (!timingSafeEqual(hmacOf(key, ciphertext, iv ?? Buffer.alloc(0)), hmac)) throw wrongKey()
  if (iv !== undefined && iv.length !== key.length) throw wrongKey()
  return unpadded(ciphertext, key, iv?.subarray(0, AES_BLOCK_BYTES))
}

/** A zero IV over SHA-256 of the data and the data; no HMAC. */
function decryptVersion1(payload: Buffer, key: Buffer): Buffer {
  const hashed = unpadded(payload, key, undefined)
  if (hashed.length < SHA256_BYTES) throw wrongKey()
  const data = hashed.subarray(SHA256_BYTES)
  if (!timingSafeEqual(createHash('sha256').update(data).digest(), hashed.subarray(0, SHA256_BYTES)))
    throw wrongKey()
  return data
}

function unpadded(ciphertext: Buffer, key: Buffer, iv: Buffer = Buffer.alloc(AES_BLOCK_BYTES)): Buffer {
  if (ciphertext.length < key.length || ciphertext.length % AES_BLOCK_BYTES !== 0) throw wrongKey()
  const decipher = createDecipheriv(cipherOf(key), key, iv).setAutoPadding(false)
  const plain = Buffer.concat([decipher.update(ciphertext), decipher.final()])
  const padding = plain[plain.length - 1] ?? 0
  const isPadded =
    padding > 0 &&
    padding <= key.length &&
    padding <= plain.length &&
    plain.subarray(-padding).every((byte) => byte === padding)
  if (!isPadded) throw wrongKey()
  return plain.subarray(0, plain.length - padding)
}

/** The fields of an encrypted layer, in the order in which swtpm writes them, and their flags. */
export function sealLayer(
  plain: Buffer,
  envelope: Envelope,
  key: Buffer | undefined,
): Pick<Layer, 'flags' | 'payload'> {
  if (key === undefined) return { flags: 0, payload: makeField(envelope.plainTag, plain) }
  const iv = randomBytes(key.length)
  const padding = key.length - (plain.length % key.length)
  const cipher = createCipheriv(cipherOf(key), key, iv.subarray(0, AES_BLOCK_BYTES)).setAutoPadding(false)
  const ciphertext = Buffer.concat([
    cipher.update(plain),
    cipher.update(Buffer.alloc(padding, padding)),
    cipher.final(),
  ])
  return {
    flags: envelope.encryptedFlag | (key.length === 32 ? envelope.key256Flag : 0),
    payload: Buffer.concat([
      makeField(envelope.dataTag, ciphertext),
      makeField(BLOB_TAG.HMAC, hmacOf(key, ciphertext, iv)),
      makeField(envelope.ivTag, iv),
    ]),
  }
}

const hmacOf = (key: Buffer, ciphertext: Buffer, iv: Buffer): Buffer =>
  createHmac('sha256', key).update(ciphertext).update(iv).digest()

const cipherOf = (key: Buffer): string => `aes-${key.length * 8}-cbc`

const wrongKey = (): StateFault => new StateFault('key', 'the key is another one, or the state was changed')
