/** TPM commands as bytes, built or written out, for tests that talk to a TPM without a TSS. */

/** A TPM 2.0 command: tag, size, command code, then the parts (numbers are u16, strings hex). */
export function tpm2(
  code: number,
  parts: readonly (number | string | Uint8Array)[] = [],
  sessions = false,
): Buffer {
  const body = Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'number') return Buffer.from([part >> 8, part & 0xff])
      return typeof part === 'string' ? Buffer.from(part.replace(/\s+/g, ''), 'hex') : Buffer.from(part)
    }),
  )
  const header = Buffer.alloc(10)
  header.writeUInt16BE(sessions ? 0x8002 : 0x8001, 0)
  header.writeUInt32BE(10 + body.length, 2)
  header.writeUInt32BE(code, 6)
  return Buffer.concat([header, body])
}

/** An empty password authorization: one session in the area. */
export const EMPTY_PASSWORD = '00000009 40000009 0000 00 0000'

/** What TPM2_Create and TPM2_CreatePrimary take: no sensitive data, a TPMT_PUBLIC (restricted storage key), no PCRs. */
const rsaKey = (bits: number, unique: Uint8Array): (number | string | Uint8Array)[] => [
  ...[4, 0, 0],
  ...[26 + unique.length, '0001 000b 00030072 0000 0006 0080 0043 0010', bits, '00000000'],
  ...[unique.length, unique],
  ...[0, '00000000'],
]

export const TPM2 = {
  startupClear: tpm2(0x144, [0]),
  startupState: tpm2(0x144, [1]),
  getRandom: (bytes = 8): Buffer => tpm2(0x17b, [bytes]),
  /** PCR `index` of the SHA-256 bank. */
  pcrRead: (index: number): Buffer => {
    const select = [0, 0, 0]
    select[index >> 3] = 1 << (index & 7)
    return tpm2(0x17e, ['00000001 000b 03', Uint8Array.from(select)])
  },
  pcrExtend: (index: number, sha256: Uint8Array): Buffer =>
    tpm2(
      0x182,
      [`000000${index.toString(16).padStart(2, '0')}`, EMPTY_PASSWORD, '00000001 000b', sha256],
      true,
    ),
  /** An ordinary index of 32 bytes that its empty password opens. */
  nvDefine: (index = 0x01500001): Buffer =>
    tpm2(0x12a, ['40000001', EMPTY_PASSWORD, 0, 14, hex32(index), '000b 00040004', 0, 32], true),
  nvWrite: (data: Uint8Array, index = 0x01500001): Buffer =>
    tpm2(0x137, [hex32(index), hex32(index), EMPTY_PASSWORD, data.length, data, 0], true),
  nvRead: (index = 0x01500001): Buffer =>
    tpm2(0x14e, [hex32(index), hex32(index), EMPTY_PASSWORD, 32, 0], true),
  /** The same `unique` makes the same RSA key; a key of 3072 bits takes seconds. */
  createPrimaryRsa: (bits: number, unique: Uint8Array): Buffer =>
    tpm2(0x131, ['40000001', EMPTY_PASSWORD, ...rsaKey(bits, unique)], true),
  /** A new RSA key each time. */
  createRsa: (parent: number, bits: number): Buffer =>
    tpm2(0x153, [hex32(parent), EMPTY_PASSWORD, ...rsaKey(bits, Buffer.alloc(0))], true),
  /** Takes the private and public area out of the response to a TPM2_Create. */
  load: (parent: number, created: Buffer): Buffer => {
    const start = 14
    const publicStart = start + 2 + created.readUInt16BE(start)
    const end = publicStart + 2 + created.readUInt16BE(publicStart)
    return tpm2(0x157, [hex32(parent), EMPTY_PASSWORD, created.subarray(start, end)], true)
  },
  /** A storage key on P-256: quick to make. */
  createPrimaryEcc: tpm2(
    0x131,
    [
      '40000001',
      EMPTY_PASSWORD,
      4,
      '0000 0000',
      26,
      '0023 000b 00030072 0000 0006 0080 0043 0010 0003 0010 0000 0000',
      0,
      '00000000',
    ],
    true,
  ),
  readPublic: (handle: number): Buffer => tpm2(0x173, [hex32(handle)]),
  startPolicySession: tpm2(0x176, ['40000007 40000007', 16, Buffer.alloc(16, 5), 0, '01 0010 000b']),
  policyGetDigest: (session: number): Buffer => tpm2(0x189, [hex32(session)]),
  /** The handles that exist from `first` on, at most 64. */
  getHandles: (first: number): Buffer => tpm2(0x17a, ['00000001', hex32(first), '00000040']),
  flushContext: (handle: number): Buffer => tpm2(0x165, [hex32(handle)]),
}

/** A TPM 1.2 command: tag 00c1. */
export function tpm12(ordinal: number, hex = ''): Buffer {
  const body = Buffer.from(hex.replace(/\s+/g, ''), 'hex')
  const header = Buffer.alloc(10)
  header.writeUInt16BE(0x00c1, 0)
  header.writeUInt32BE(10 + body.length, 2)
  header.writeUInt32BE(ordinal, 6)
  return Buffer.concat([header, body])
}

export const TPM12 = {
  startupClear: tpm12(0x99, '0001'),
  getRandom: (bytes = 8): Buffer => tpm12(0x46, hex32(bytes)),
  pcrRead: (index: number): Buffer => tpm12(0x15, hex32(index)),
  extend: (index: number, sha1: Uint8Array): Buffer =>
    tpm12(0x14, hex32(index) + Buffer.from(sha1).toString('hex')),
  saveState: tpm12(0x98),
}

/** The answer to TPM2.getHandles(). */
export function handlesIn(response: Buffer): number[] {
  const count = response.readUInt32BE(15)
  return Array.from({ length: count }, (_, index) => response.readUInt32BE(19 + 4 * index))
}

export const responseCode = (response: Buffer): number => response.readUInt32BE(6)

export const hex32 = (value: number): string => value.toString(16).padStart(8, '0')
