/**
 * The keys that a TPM 2 leaves its factory with: the endorsement key templates of the TCG EK Credential Profile (low
 * range for RSA 2048 and P-256, high range for the stronger ones), the storage primary key of the Provisioning Guidance,
 * and the attestation and device identity keys of "TPM 2.0 Keys for Device Identity and Attestation".
 */
import { concat, sized16, u16, u32 } from '../../tpm-commands/bytes.ts'

export const KEY_ALGORITHMS = [
  'rsa2048',
  'rsa3072',
  'rsa4096',
  'secp256r1',
  'secp384r1',
  'secp521r1',
] as const
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number]

const OTHER_NAMES: Readonly<Record<string, KeyAlgorithm>> = {
  ecc_nist_p256: 'secp256r1',
  ecc_nist_p384: 'secp384r1',
  ecc_nist_p521: 'secp521r1',
}

/** The algorithm that a user names, case-blind; undefined when there is none of that name. */
export function keyAlgorithm(name: string): KeyAlgorithm | undefined {
  const lower = name.toLowerCase()
  return KEY_ALGORITHMS.find((algorithm) => algorithm === lower) ?? OTHER_NAMES[lower]
}

export const KEY_ALGORITHM_CHOICES = [...KEY_ALGORITHMS, ...Object.keys(OTHER_NAMES)]

const ALG = {
  RSA: 0x0001,
  AES: 0x0006,
  SHA256: 0x000b,
  SHA384: 0x000c,
  SHA512: 0x000d,
  NULL: 0x0010,
  RSAPSS: 0x0016,
  ECDSA: 0x0018,
  ECC: 0x0023,
  CFB: 0x0043,
} as const

/** TPMA_OBJECT */
const ATTR = {
  fixedTpm: 1 << 1,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  userWithAuth: 1 << 6,
  adminWithPolicy: 1 << 7,
  noDa: 1 << 10,
  restricted: 1 << 16,
  decrypt: 1 << 17,
  sign: 1 << 18,
} as const

const FIXED = ATTR.fixedTpm | ATTR.fixedParent | ATTR.sensitiveDataOrigin

export interface EkPlace {
  /** What messages call it. */
  readonly label: string
  readonly handle: number
  readonly certIndex: number
  readonly templateIndex: number
}

interface AlgorithmRow extends EkPlace {
  readonly type: 'rsa' | 'ecc'
  /** Key bits of RSA, TPM_ECC_CURVE of ECC. */
  readonly parameter: number
  readonly bytes: number
  readonly hash: number
  readonly aesBits: number
  readonly highRange: boolean
}

const ROWS: Readonly<Record<KeyAlgorithm, AlgorithmRow>> = {
  rsa2048: {
    ...{ type: 'rsa', parameter: 2048, bytes: 256, hash: ALG.SHA256, aesBits: 128, highRange: false },
    ...{ label: 'RSA 2048', handle: 0x81010001, certIndex: 0x01c00002, templateIndex: 0x01c00004 },
  },
  rsa3072: {
    ...{ type: 'rsa', parameter: 3072, bytes: 384, hash: ALG.SHA384, aesBits: 256, highRange: true },
    ...{ label: 'RSA 3072', handle: 0x8101001c, certIndex: 0x01c0001c, templateIndex: 0x01c0001d },
  },
  rsa4096: {
    ...{ type: 'rsa', parameter: 4096, bytes: 512, hash: ALG.SHA384, aesBits: 256, highRange: true },
    ...{ label: 'RSA 4096', handle: 0x8101001e, certIndex: 0x01c0001e, templateIndex: 0x01c0001f },
  },
  secp256r1: {
    ...{ type: 'ecc', parameter: 3, bytes: 32, hash: ALG.SHA256, aesBits: 128, highRange: false },
    ...{ label: 'ECC secp256r1', handle: 0x8101000a, certIndex: 0x01c0000a, templateIndex: 0x01c0000b },
  },
  // Plain "ECC", since for years it was the only one.
  secp384r1: {
    ...{ type: 'ecc', parameter: 4, bytes: 48, hash: ALG.SHA384, aesBits: 256, highRange: true },
    ...{ label: 'ECC', handle: 0x81010016, certIndex: 0x01c00016, templateIndex: 0x01c00017 },
  },
  secp521r1: {
    ...{ type: 'ecc', parameter: 5, bytes: 66, hash: ALG.SHA512, aesBits: 256, highRange: true },
    ...{ label: 'ECC secp521r1', handle: 0x81010018, certIndex: 0x01c00018, templateIndex: 0x01c00019 },
  },
}

export const ekPlace = (algorithm: KeyAlgorithm): EkPlace => ROWS[algorithm]
export const keyLabel = (algorithm: KeyAlgorithm): string => ROWS[algorithm].label

export const SPK_HANDLE = 0x81000001
export const IDEVID_HANDLE = 0x81020000
export const IAK_HANDLE = 0x81020001
export const PLATFORM_CERT_INDEX = 0x01c08000
export const IAK_CERT_INDEX = 0x01c90100
export const IDEVID_CERT_INDEX = 0x01c90200

type Digests = Readonly<Record<number, string>>

/** PolicyA (SHA-256) of the low range, PolicyB of the high range. */
const EK_POLICY: Digests = {
  [ALG.SHA256]: '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa',
  [ALG.SHA384]:
    'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
  [ALG.SHA512]:
    'b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a429c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea',
}

const IAK_POLICY: Digests = {
  [ALG.SHA256]: '5437182326e414fca797d5f174615a1641f61255797c3a2b22c21d120b2d1e07',
  [ALG.SHA384]:
    '129d94ebf84556652c6eef43bbb757512ac87e52be7b349ca6ce4d826f749fcf672f51716c5cbb605f313bf345aab312',
  [ALG.SHA512]:
    '8060d1fb31716a29e48a6e5fece088bcfc1b278fc162255e81c3eca3544cd44af94410c3715d561cccd9e39a6cb2646d43535bb54ea88710deb5f7836bd9b586',
}

const IDEVID_POLICY: Digests = {
  [ALG.SHA256]: 'ad6b3a2284fd698a0710bf5cc1b9bdf15e2532e3f601fa4b93a6a8fa8de579ea',
  [ALG.SHA384]:
    '4db1aa836d0b5615df6ee53a40ef70c61c217f4303d44695925972bc927006cfa5cbdf6dc18c4dbe329b2f1542c3dd33',
  [ALG.SHA512]:
    '7dd7500fd6c1b94f97a6af910da147301ef28f662fee06f225a4ccadda3b4e6b38e66b2f3ad5dee1a0503cd2daedb1e68cfe4f84b03a8cd22bb6a976f071a72f',
}

interface Template {
  readonly attributes: number
  readonly policy: Buffer
  readonly symmetric: Buffer
  readonly scheme: Buffer
  readonly unique: Buffer
}

/** A TPMT_PUBLIC. */
function publicArea(row: AlgorithmRow, template: Template): Buffer {
  const parameters =
    row.type === 'rsa'
      ? concat(template.symmetric, template.scheme, u16(row.parameter), u32(0))
      : concat(template.symmetric, template.scheme, u16(row.parameter), u16(ALG.NULL))
  return concat(
    u16(row.type === 'rsa' ? ALG.RSA : ALG.ECC),
    u16(row.hash),
    u32(template.attributes),
    sized16(template.policy),
    parameters,
    template.unique,
  )
}

const NO_SCHEME = u16(ALG.NULL)
const NO_SYMMETRIC = u16(ALG.NULL)
const aesCfb = (bits: number): Buffer => concat(u16(ALG.AES), u16(bits), u16(ALG.CFB))

/** The unique field: one part for RSA, two for ECC. */
const unique = (row: AlgorithmRow, first: Uint8Array, second = first): Buffer =>
  row.type === 'rsa' ? sized16(first) : concat(sized16(first), sized16(second))

const NOTHING = Buffer.alloc(0)
const zeros = (row: AlgorithmRow): Buffer => Buffer.alloc(row.bytes)
const digest = (digests: Digests, hash: number): Buffer => Buffer.from(digests[hash]!, 'hex')

export interface EkUse {
  readonly allowSigning: boolean
  readonly decryption: boolean
}

/** An EK that signs is not standard. Its template is stored beside its certificate, so that a program can make the EK again. */
export function ekTemplate(algorithm: KeyAlgorithm, use: EkUse): Buffer {
  const row = ROWS[algorithm]
  const purpose = use.allowSigning
    ? ATTR.sign | (use.decryption ? ATTR.decrypt : 0)
    : ATTR.restricted | ATTR.decrypt
  return publicArea(row, {
    attributes: FIXED | ATTR.adminWithPolicy | (row.highRange ? ATTR.userWithAuth : 0) | purpose,
    policy: digest(EK_POLICY, row.hash),
    symmetric: use.allowSigning ? NO_SYMMETRIC : aesCfb(row.aesBits),
    scheme: NO_SCHEME,
    unique: unique(row, row.highRange ? NOTHING : zeros(row)),
  })
}

export function spkTemplate(algorithm: KeyAlgorithm): Buffer {
  const row = ROWS[algorithm]
  return publicArea(row, {
    attributes: FIXED | ATTR.userWithAuth | ATTR.noDa | ATTR.restricted | ATTR.decrypt,
    policy: NOTHING,
    symmetric: aesCfb(row.aesBits),
    scheme: NO_SCHEME,
    unique: unique(row, zeros(row)),
  })
}

/** The initial attestation key: restricted signing. */
export function iakTemplate(algorithm: KeyAlgorithm): Buffer {
  const row = ROWS[algorithm]
  return publicArea(row, {
    attributes: FIXED | ATTR.userWithAuth | ATTR.adminWithPolicy | ATTR.restricted | ATTR.sign,
    policy: digest(IAK_POLICY, row.hash),
    symmetric: NO_SYMMETRIC,
    scheme: concat(u16(row.type === 'rsa' ? ALG.RSAPSS : ALG.ECDSA), u16(row.hash)),
    unique: unique(row, Buffer.from('IAK'), NOTHING),
  })
}

/** The initial device identity key: signing. */
export function idevidTemplate(algorithm: KeyAlgorithm): Buffer {
  const row = ROWS[algorithm]
  return publicArea(row, {
    attributes: FIXED | ATTR.userWithAuth | ATTR.adminWithPolicy | ATTR.sign,
    policy: digest(IDEVID_POLICY, row.hash),
    symmetric: NO_SYMMETRIC,
    scheme: row.type === 'rsa' ? NO_SCHEME : concat(u16(ALG.ECDSA), u16(row.hash)),
    unique: unique(row, Buffer.from('IDEVID'), NOTHING),
  })
}
