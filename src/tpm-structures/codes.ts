/**
 * Tags, algorithms, attributes and handles, each declared once; command-codes.ts has the commands.
 * @see TPM 2.0 Part 2, 6.9 "TPM_ST"; TPM Main Part 2, 6 "Tags"
 */

export const TPM_TAG_RQU_COMMAND = 0x00c1
export const TPM_TAG_RQU_AUTH1_COMMAND = 0x00c2
export const TPM_TAG_RQU_AUTH2_COMMAND = 0x00c3
export const TPM_TAG_RSP_COMMAND = 0x00c4
export const TPM_TAG_RSP_AUTH1_COMMAND = 0x00c5
export const TPM_TAG_RSP_AUTH2_COMMAND = 0x00c6

export const TPM_ST_NO_SESSIONS = 0x8001
export const TPM_ST_SESSIONS = 0x8002

/** @see TPM 2.0 Part 2, 6.3 "TPM_ALG_ID"; the TCG's registry of algorithms */
export const TPM_ALG = {
  ERROR: 0x0000,
  RSA: 0x0001,
  TDES: 0x0003,
  SHA1: 0x0004,
  HMAC: 0x0005,
  AES: 0x0006,
  MGF1: 0x0007,
  KEYEDHASH: 0x0008,
  XOR: 0x000a,
  SHA256: 0x000b,
  SHA384: 0x000c,
  SHA512: 0x000d,
  SHA256_192: 0x000e,
  NULL: 0x0010,
  SM3_256: 0x0012,
  SM4: 0x0013,
  RSASSA: 0x0014,
  RSAES: 0x0015,
  RSAPSS: 0x0016,
  OAEP: 0x0017,
  ECDSA: 0x0018,
  ECDH: 0x0019,
  ECDAA: 0x001a,
  SM2: 0x001b,
  ECSCHNORR: 0x001c,
  ECMQV: 0x001d,
  KDF1_SP800_56A: 0x0020,
  KDF2: 0x0021,
  KDF1_SP800_108: 0x0022,
  ECC: 0x0023,
  SYMCIPHER: 0x0025,
  CAMELLIA: 0x0026,
  SHA3_256: 0x0027,
  SHA3_384: 0x0028,
  SHA3_512: 0x0029,
  SHAKE128: 0x002a,
  SHAKE256: 0x002b,
  CMAC: 0x003f,
  CTR: 0x0040,
  OFB: 0x0041,
  CBC: 0x0042,
  CFB: 0x0043,
  ECB: 0x0044,
  CCM: 0x0050,
  GCM: 0x0051,
  KW: 0x0052,
  KWP: 0x0053,
  EAX: 0x0054,
  EDDSA: 0x0060,
  EDDSA_PH: 0x0061,
  LMS: 0x0070,
  XMSS: 0x0071,
} as const

/** How many bytes a digest has, by its algorithm. */
export const DIGEST_BYTES: ReadonlyMap<number, number> = new Map<number, number>([
  [TPM_ALG.SHA1, 20],
  [TPM_ALG.SHA256, 32],
  [TPM_ALG.SHA384, 48],
  [TPM_ALG.SHA512, 64],
  [TPM_ALG.SHA256_192, 24],
  [TPM_ALG.SM3_256, 32],
  [TPM_ALG.SHA3_256, 32],
  [TPM_ALG.SHA3_384, 48],
  [TPM_ALG.SHA3_512, 64],
  [TPM_ALG.NULL, 0],
])

/** @see TPM 2.0 Part 2, 6.4 "TPM_ECC_CURVE" */
export const TPM_ECC_CURVE = {
  NONE: 0x00,
  NIST_P192: 0x01,
  NIST_P224: 0x02,
  NIST_P256: 0x03,
  NIST_P384: 0x04,
  NIST_P521: 0x05,
  BN_P256: 0x10,
  BN_P638: 0x11,
  SM2_P256: 0x20,
  BP_P256_R1: 0x30,
  BP_P384_R1: 0x31,
  BP_P512_R1: 0x32,
  CURVE_25519: 0x40,
  CURVE_448: 0x41,
} as const

/** @see TPM 2.0 Part 2, 8.3 "TPMA_OBJECT" */
export const TPMA_OBJECT = {
  fixedTPM: 1 << 1,
  stClear: 1 << 2,
  fixedParent: 1 << 4,
  sensitiveDataOrigin: 1 << 5,
  userWithAuth: 1 << 6,
  adminWithPolicy: 1 << 7,
  firmwareLimited: 1 << 8,
  svnLimited: 1 << 9,
  noDA: 1 << 10,
  encryptedDuplication: 1 << 11,
  restricted: 1 << 16,
  decrypt: 1 << 17,
  sign: 1 << 18,
  x509sign: 1 << 19,
} as const

/** The bits of TPM_NT between them say what kind of index it is. @see TPM 2.0 Part 2, 13.4 "TPMA_NV" */
export const TPMA_NV = {
  PPWRITE: 1 << 0,
  OWNERWRITE: 1 << 1,
  AUTHWRITE: 1 << 2,
  POLICYWRITE: 1 << 3,
  COUNTER: 1 << 4,
  BITS: 1 << 5,
  EXTEND: 1 << 6,
  POLICY_DELETE: 1 << 10,
  WRITELOCKED: 1 << 11,
  WRITEALL: 1 << 12,
  WRITEDEFINE: 1 << 13,
  WRITE_STCLEAR: 1 << 14,
  GLOBALLOCK: 1 << 15,
  PPREAD: 1 << 16,
  OWNERREAD: 1 << 17,
  AUTHREAD: 1 << 18,
  POLICYREAD: 1 << 19,
  NO_DA: 1 << 25,
  ORDERLY: 1 << 26,
  CLEAR_STCLEAR: 1 << 27,
  READLOCKED: 1 << 28,
  WRITTEN: 1 << 29,
  PLATFORMCREATE: 1 << 30,
  READ_STCLEAR: 1 << 31,
} as const

export const TPM_SU_CLEAR = 0
export const TPM_SU_STATE = 1

/** Handles that every TPM has. @see TPM 2.0 Part 2, 7.4 "TPM_RH"; TPM Main Part 2, 4.4.1 for those before 0x40000007 */
export const TPM_HANDLES = {
  SRK: 0x40000000,
  OWNER: 0x40000001,
  REVOKE: 0x40000002,
  TRANSPORT: 0x40000003,
  OPERATOR: 0x40000004,
  ADMIN: 0x40000005,
  EK: 0x40000006,
  NULL: 0x40000007,
  UNASSIGNED: 0x40000008,
  PW: 0x40000009,
  LOCKOUT: 0x4000000a,
  ENDORSEMENT: 0x4000000b,
  PLATFORM: 0x4000000c,
  PLATFORM_NV: 0x4000000d,
} as const
