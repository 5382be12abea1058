/**
 * The keys that a TPM 2 leaves its factory with: the endorsement key templates of the TCG EK Credential Profile (low
 * range for RSA 2048 and P-256, high range for the stronger ones), the storage primary key of the Provisioning Guidance,
 * and the attestation and device identity keys of "TPM 2.0 Keys for Device Identity and Attestation".
 */
import { concat, sized16, u16, u32 } from '../../tpm-commands/bytes.ts'
import { TPM_ALG, TPMA_OBJECT } from '../../tpm-structures/codes.ts'
import { CURVES, type KeyAlgorithm } from '../common/tpm-keys/key-algorithms.ts'

const FIXED = TPMA_OBJECT.fixedTPM | TPMA_OBJECT.fixedParent | TPMA_OBJECT.sensitiveDataOrigin

interface AlgorithmRow {
  readonly type: 'rsa' | 'ecc'
  /** Key bits of RSA, TPM_ECC_CURVE of ECC. */
  readonly parameter: number
  readonly bytes: number
  readonly hash: number
  readonly aesBits: number
  readonly highRange: boolean
}

const ROWS: Readonly<Record<KeyAlgorithm, AlgorithmRow>> = {
  rsa2048: { type: 'rsa', parameter: 2048, bytes: 256, hash: TPM_ALG.SHA256, aesBits: 128, highRange: false },
  rsa3072: { type: 'rsa', parameter: 3072, bytes: 384, hash: TPM_ALG.SHA384, aesBits: 256, highRange: true },
  rsa4096: { type: 'rsa', parameter: 4096, bytes: 512, hash: TPM_ALG.SHA384, aesBits: 256, highRange: true },
  secp256r1: {
    type: 'ecc',
    parameter: CURVES.secp256r1,
    bytes: 32,
    hash: TPM_ALG.SHA256,
    aesBits: 128,
    highRange: false,
  },
  secp384r1: {
    type: 'ecc',
    parameter: CURVES.secp384r1,
    bytes: 48,
    hash: TPM_ALG.SHA384,
    aesBits: 256,
    highRange: true,
  },
  secp521r1: {
    type: 'ecc',
    parameter: CURVES.secp521r1,
    bytes: 66,
    hash: TPM_ALG.SHA512,
    aesBits: 256,
    highRange: true,
  },
}

type Digests = Readonly<Record<number, string>>

/** PolicyA (SHA-256) of the low range, PolicyB of the high range. */
const EK_POLICY: Digests = {
  [TPM_ALG.SHA256]: '837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa',
  [TPM_ALG.SHA384]:
    'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
  [TPM_ALG.SHA512]:
    'b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a429c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea',
}

const IAK_POLICY: Digests = {
  [TPM_ALG.SHA256]: '5437182326e414fca797d5f174615a1641f61255797c3a2b22c21d120b2d1e07',
  [TPM_ALG.SHA384]:
    '129d94ebf84556652c6eef43bbb757512ac87e52be7b349ca6ce4d826f749fcf672f51716c5cbb605f313bf345aab312',
  [TPM_ALG.SHA512]:
    '8060d1fb31716a29e48a6e5fece088bcfc1b278fc162255e81c3eca3544cd44af94410c3715d561cccd9e39a6cb2646d43535bb54ea88710deb5f7836bd9b586',
}

const IDEVID_POLICY: Digests = {
  [TPM_ALG.SHA256]: 'ad6b3a2284fd698a0710bf5cc1b9bdf15e2532e3f601fa4b93a6a8fa8de579ea',
  [TPM_ALG.SHA384]:
    '4db1aa836d0b5615df6ee53a40ef70c61c217f4303d44695925972bc927006cfa5cbdf6dc18c4dbe329b2f1542c3dd33',
  [TPM_ALG.SHA512]:
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
      : concat(template.symmetric, template.scheme, u16(row.parameter), u16(TPM_ALG.NULL))
  return concat(
    u16(row.type === 'rsa' ? TPM_ALG.RSA : TPM_ALG.ECC),
    u16(row.hash),
    u32(template.attributes),
    sized16(template.policy),
    parameters,
    template.unique,
  )
}

const NO_SCHEME = u16(TPM_ALG.NULL)
const NO_SYMMETRIC = u16(TPM_ALG.NULL)
const aesCfb = (bits: number): Buffer => concat(u16(TPM_ALG.AES), u16(bits), u16(TPM_ALG.CFB))

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
    ? TPMA_OBJECT.sign | (use.decryption ? TPMA_OBJECT.decrypt : 0)
    : TPMA_OBJECT.restricted | TPMA_OBJECT.decrypt
  return publicArea(row, {
    attributes:
      FIXED | TPMA_OBJECT.adminWithPolicy | (row.highRange ? TPMA_OBJECT.userWithAuth : 0) | purpose,
    policy: digest(EK_POLICY, row.hash),
    symmetric: use.allowSigning ? NO_SYMMETRIC : aesCfb(row.aesBits),
    scheme: NO_SCHEME,
    unique: unique(row, row.highRange ? NOTHING : zeros(row)),
  })
}

export function spkTemplate(algorithm: KeyAlgorithm): Buffer {
  const row = ROWS[algorithm]
  return publicArea(row, {
    attributes:
      FIXED | TPMA_OBJECT.userWithAuth | TPMA_OBJECT.noDA | TPMA_OBJECT.restricted | TPMA_OBJECT.decrypt,
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
    attributes:
      FIXED |
      TPMA_OBJECT.userWithAuth |
      TPMA_OBJECT.adminWithPolicy |
      TPMA_OBJECT.restricted |
      TPMA_OBJECT.sign,
    policy: digest(IAK_POLICY, row.hash),
    symmetric: NO_SYMMETRIC,
    scheme: concat(u16(row.type === 'rsa' ? TPM_ALG.RSAPSS : TPM_ALG.ECDSA), u16(row.hash)),
    unique: unique(row, Buffer.from('IAK'), NOTHING),
  })
}

/** The initial device identity key: signing. */
export function idevidTemplate(algorithm: KeyAlgorithm): Buffer {
  const row = ROWS[algorithm]
  return publicArea(row, {
    attributes: FIXED | TPMA_OBJECT.userWithAuth | TPMA_OBJECT.adminWithPolicy | TPMA_OBJECT.sign,
    policy: digest(IDEVID_POLICY, row.hash),
    symmetric: NO_SYMMETRIC,
    scheme: row.type === 'rsa' ? NO_SCHEME : concat(u16(TPM_ALG.ECDSA), u16(row.hash)),
    unique: unique(row, Buffer.from('IDEVID'), NOTHING),
  })
}
