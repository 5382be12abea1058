/** The structures of TPM 1.2, in rows as structures.ts explains them. @see TPM Main Part 2 */
export const TPM12_STRUCTURES: Readonly<Record<string, string>> = {
  HANDLE: 'u32 HANDLE12',
  TPM_ORDINAL: 'u32 ORD',
  TPM_STARTUP_TYPE: 'u16 STARTUP_TYPE',
  TPM_CAPABILITY_AREA: 'u32 CAP_AREA',
  TPM_RESOURCE_TYPE: 'u32 RT',
  TPM_PHYSICAL_PRESENCE: 'u16 PHYSICAL_PRESENCE',
  HEX16: 'u16 HEX',
  HEX32: 'u32 HEX',
  TPM_TAG: 'u16 HEX',
  TPM_ALGORITHM_ID: 'u32 ALG12',
  TPM_ENC_SCHEME: 'u16 ENC_SCHEME',
  TPM_SIG_SCHEME: 'u16 SIG_SCHEME',
  TPM_ENTITY_TYPE: 'u16 ENTITY',
  TPM_PROTOCOL_ID: 'u16 PROTOCOL',
  BOOL: 'u8 YES_NO',
  NONCE: 'fixed 20',
  DIGEST: 'fixed 20',
  AUTH: 'fixedsecret 20',
  LABEL: 'fixed 4',
  LABEL16: 'fixed 16',
  B32: 'bytes u32',
  S32: 'secret u32',
  S16: 'secret u16',
  SECRET_REST: 'restsecret',
  SUB_CAP_NUMBER: 'value:u32',
  SUB_CAP_PROPERTY: 'value:TPM_CAP_PROPERTY',
  SUB_CAP_ORDINAL: 'value:TPM_ORDINAL',
  TPM_CAP_PROPERTY: 'u32 CAP_PROP',
  SIZED_ORDINAL: 'sized u32 SUB_CAP_ORDINAL',
  SIZED_PROPERTY: 'sized u32 SUB_CAP_PROPERTY',
  SIZED_NUMBER: 'sized u32 SUB_CAP_NUMBER',
  TPM_SUB_CAP:
    'union ORD:SIZED_ORDINAL PROPERTY:SIZED_PROPERTY FLAG:SIZED_NUMBER NV_INDEX:SIZED_NUMBER *:B32',
  TPM_KEY_PARMS: 'algorithmID:TPM_ALGORITHM_ID encScheme:TPM_ENC_SCHEME sigScheme:TPM_SIG_SCHEME parms:B32',
  TPM_PUBKEY: 'algorithmParms:TPM_KEY_PARMS pubKey:B32',
  TPM_KEY:
    'ver:HEX32 keyUsage:TPM_KEY_USAGE keyFlags:HEX32 authDataUsage:u8 algorithmParms:TPM_KEY_PARMS PCRInfo:B32 pubKey:B32 encData:S32',
  TPM_KEY_USAGE: 'u16 KEY_USAGE',
  TPM_STORED_DATA: 'ver:HEX32 sealInfo:B32 encData:S32',
  TPM_PCR_SELECTION: 'bytes u16 sizeOfSelect',
  TPM_PCR_COMPOSITE: 'select:TPM_PCR_SELECTION pcrValue:B32',
  TPM_PCR_INFO_SHORT: 'pcrSelection:TPM_PCR_SELECTION localityAtRelease:u8 digestAtRelease:DIGEST',
  TPM_NV_ATTRIBUTES: 'tag:TPM_TAG attributes:HEX32',
  TPM_NV_DATA_PUBLIC:
    'tag:TPM_TAG nvIndex:HEX32 pcrInfoRead:TPM_PCR_INFO_SHORT pcrInfoWrite:TPM_PCR_INFO_SHORT permission:TPM_NV_ATTRIBUTES' +
    ' bReadSTClear:BOOL bWriteSTClear:BOOL bWriteDefine:BOOL dataSize:u32',
  // The tag says which of two forms follows; a TPM_CERTIFY_INFO begins with a version instead.
  TPM_CERTIFY_TAG: 'u16 TAG',
  TPM_CERTIFY_INFO: 'tag:TPM_CERTIFY_TAG info:TPM_CERTIFY_INFO_FORM(tag)',
  TPM_CERTIFY_INFO_FORM: 'union CERTIFY_INFO2:TPM_CERTIFY_INFO2 *:TPM_CERTIFY_INFO1',
  TPM_CERTIFY_INFO1:
    'fill:HEX16 keyUsage:TPM_KEY_USAGE keyFlags:HEX32 authDataUsage:u8 algorithmParms:TPM_KEY_PARMS pubkeyDigest:DIGEST' +
    ' data:NONCE parentPCRStatus:BOOL PCRInfo:B32',
  TPM_CERTIFY_INFO2:
    'fill:u8 payloadType:u8 keyUsage:TPM_KEY_USAGE keyFlags:HEX32 authDataUsage:u8 algorithmParms:TPM_KEY_PARMS' +
    ' pubkeyDigest:DIGEST data:NONCE parentPCRStatus:BOOL PCRInfo:B32 migrationAuthority:B32',
  TPM_COUNTER_VALUE: 'tag:TPM_TAG label:LABEL counter:u32',
  TPM_CURRENT_TICKS: 'tag:TPM_TAG currentTicks:u64 tickRate:u16 tickNonce:NONCE',
  TPM_MIGRATIONKEYAUTH: 'migrationKey:TPM_PUBKEY migrationScheme:u16 digest:DIGEST',
  TPM_CMK_AUTH: 'migrationAuthorityDigest:DIGEST destinationKeyDigest:DIGEST sourceKeyDigest:DIGEST',
  TPM_DELEGATIONS: 'tag:TPM_TAG delegateType:u32 per1:u32 per2:u32',
  TPM_DELEGATE_PUBLIC:
    'tag:TPM_TAG rowLabel:u8 pcrInfo:TPM_PCR_INFO_SHORT permissions:TPM_DELEGATIONS familyID:u32 verificationCount:u32',
  TPM_TRANSPORT_PUBLIC: 'tag:TPM_TAG transAttributes:u32 algId:TPM_ALGORITHM_ID encScheme:TPM_ENC_SCHEME',
  TPM_SYMMETRIC_KEY: 'algId:TPM_ALGORITHM_ID encScheme:TPM_ENC_SCHEME data:S16',
}
