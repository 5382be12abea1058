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
  Startup: 0x99,
  NV_DefineSpace: 0xcc,
  NV_WriteValue: 0xcd,
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
  FlushContext: 0x165,
  GetCapability: 0x17a,
} as const

/** Algorithms. @see TPM 2.0 Part 2, 6.3 "TPM_ALG_ID" */
export const TPM_ALG_RSA = 0x0001
export const TPM_ALG_SHA256 = 0x000b
export const TPM_ALG_NULL = 0x0010

export const TPM_SU_CLEAR = 0
export const TPM_SU_STATE = 1

export const TPM_RH_OWNER = 0x40000001
export const TPM_RS_PW = 0x40000009
export const TPM_RH_ENDORSEMENT = 0x4000000b
export const TPM_RH_PLATFORM = 0x4000000c
