/**
 * Tags, ordinals, command codes and handles, each declared once.
 * @see TPM 1.2 Part 2, 17 "Ordinals"; TPM 2.0 Part 2, 6.5 "TPM_CC", 6.9 "TPM_ST", 7.4 "TPM_RH"
 */

export const TPM_TAG_RQU_COMMAND = 0x00c1
export const TPM_TAG_RQU_AUTH1_COMMAND = 0x00c2
export const TPM_TAG_RSP_COMMAND = 0x00c4

export const TPM_ORD = {
  OIAP: 0x0a,
  TakeOwnership: 0x0d,
  ContinueSelfTest: 0x53,
  GetCapability: 0x65,
  PhysicalEnable: 0x6f,
  PhysicalSetDeactivated: 0x72,
  CreateEndorsementKeyPair: 0x78,
  ReadPubek: 0x7c,
  OwnerReadInternalPub: 0x81,
  Startup: 0x99,
  NV_DefineSpace: 0xcc,
  NV_WriteValue: 0xcd,
  NV_ReadValue: 0xcf,
  TSC_PhysicalPresence: 0x4000000a,
} as const

export const TPM_ST_NO_SESSIONS = 0x8001
export const TPM_ST_SESSIONS = 0x8002

export const TPM_CC = {
  EvictControl: 0x120,
  HierarchyChangeAuth: 0x129,
  NV_DefineSpace: 0x12a,
  PCR_Allocate: 0x12b,
  CreatePrimary: 0x131,
  NV_Write: 0x137,
  NV_WriteLock: 0x138,
  IncrementalSelfTest: 0x142,
  SelfTest: 0x143,
  Startup: 0x144,
  Shutdown: 0x145,
  NV_Read: 0x14e,
  FlushContext: 0x165,
  NV_ReadPublic: 0x169,
  ReadPublic: 0x173,
  GetCapability: 0x17a,
} as const

/** @see TPM 2.0 Part 2, 6.3 "TPM_ALG_ID" */
export const TPM_ALG = {
  RSA: 0x0001,
  SHA1: 0x0004,
  AES: 0x0006,
  SHA256: 0x000b,
  SHA384: 0x000c,
  SHA512: 0x000d,
  NULL: 0x0010,
  SM3_256: 0x0012,
  RSAPSS: 0x0016,
  ECDSA: 0x0018,
  ECC: 0x0023,
  SHA3_256: 0x0027,
  SHA3_384: 0x0028,
  SHA3_512: 0x0029,
  CFB: 0x0043,
} as const

/** @see TPM 2.0 Part 2, 6.4 "TPM_ECC_CURVE" */
export const TPM_ECC_CURVE = { NIST_P256: 3, NIST_P384: 4, NIST_P521: 5 } as const

/** @see TPM 2.0 Part 2, 8.3 "TPMA_OBJECT" */
export const TPMA_OBJECT = {
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

/** @see TPM 2.0 Part 2, 13.4 "TPMA_NV" */
export const TPMA_NV = {
  ppRead: 1 << 16,
  ownerRead: 1 << 17,
  authRead: 1 << 18,
  written: 1 << 29,
} as const

export const TPM_SU_CLEAR = 0
export const TPM_SU_STATE = 1

export const TPM_RH_OWNER = 0x40000001
export const TPM_RS_PW = 0x40000009
export const TPM_RH_ENDORSEMENT = 0x4000000b
export const TPM_RH_PLATFORM = 0x4000000c
