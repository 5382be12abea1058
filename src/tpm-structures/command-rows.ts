/**
 * What each TPM 2.0 command carries: `handles | parameters | response handles | response parameters`. A handle with @ is
 * authorized by a session. A parameter is `name:TYPE`, the types are in structures.ts.
 * @see TPM 2.0 Part 3; revision 1.83 for what 1.59 does not have
 */
import type { TPM_CC } from './command-codes.ts'

const ATTESTS = 'qualifyingData:TPM2B_DATA inScheme:TPMT_SIG_SCHEME'
const CREATES =
  'inSensitive:TPM2B_SENSITIVE_CREATE inPublic:TPM2B_PUBLIC outsideInfo:TPM2B_DATA creationPCR:TPML_PCR_SELECTION'
const CREATED =
  'outPublic:TPM2B_PUBLIC creationData:TPM2B_CREATION_DATA creationHash:TPM2B_DIGEST creationTicket:TPMT_TK'

export const COMMAND_ROWS: Readonly<Record<keyof typeof TPM_CC, string>> = {
  NV_UndefineSpaceSpecial: '@nvIndex @platform',
  EvictControl: '@auth objectHandle | persistentHandle:TPM_HANDLE',
  HierarchyControl: '@authHandle | enable:TPM_HANDLE state:TPMI_YES_NO',
  NV_UndefineSpace: '@authHandle nvIndex',
  ChangeEPS: '@authHandle',
  ChangePPS: '@authHandle',
  Clear: '@authHandle',
  ClearControl: '@auth | disable:TPMI_YES_NO',
  ClockSet: '@auth | newTime:u64',
  HierarchyChangeAuth: '@authHandle | newAuth:TPM2B_AUTH',
  NV_DefineSpace: '@authHandle | auth:TPM2B_AUTH publicInfo:TPM2B_NV_PUBLIC',
  PCR_Allocate:
    '@authHandle | pcrAllocation:TPML_PCR_SELECTION | | allocationSuccess:TPMI_YES_NO maxPCR:u32 sizeNeeded:u32 sizeAvailable:u32',
  PCR_SetAuthPolicy: '@authHandle | authPolicy:TPM2B_DIGEST hashAlg:TPM_ALG_ID pcrNum:TPM_HANDLE',
  PP_Commands: '@auth | setList:TPML_CC clearList:TPML_CC',
  SetPrimaryPolicy: '@authHandle | authPolicy:TPM2B_DIGEST hashAlg:TPM_ALG_ID',
  FieldUpgradeStart: '@authorization keyHandle | fuDigest:TPM2B_DIGEST manifestSignature:TPMT_SIGNATURE',
  ClockRateAdjust: '@auth | rateAdjust:TPM_CLOCK_ADJUST',
  CreatePrimary: `@primaryHandle | ${CREATES} | objectHandle | ${CREATED} name:TPM2B_NAME`,
  NV_GlobalWriteLock: '@authHandle',
  GetCommandAuditDigest: `@privacyHandle @signHandle | ${ATTESTS} | | auditInfo:TPM2B_ATTEST signature:TPMT_SIGNATURE`,
  NV_Increment: '@authHandle nvIndex',
  NV_SetBits: '@authHandle nvIndex | bits:u64',
  NV_Extend: '@authHandle nvIndex | data:TPM2B_SECRET',
  NV_Write: '@authHandle nvIndex | data:TPM2B_SECRET offset:u16',
  NV_WriteLock: '@authHandle nvIndex',
  DictionaryAttackLockReset: '@lockHandle',
  DictionaryAttackParameters: '@lockHandle | newMaxTries:u32 newRecoveryTime:u32 lockoutRecovery:u32',
  NV_ChangeAuth: '@nvIndex | newAuth:TPM2B_AUTH',
  PCR_Event: '@pcrHandle | eventData:TPM2B_DATA | | digests:TPML_DIGEST_VALUES',
  PCR_Reset: '@pcrHandle',
  SequenceComplete:
    '@sequenceHandle | buffer:TPM2B_SECRET hierarchy:TPM_HANDLE | | result:TPM2B_DIGEST validation:TPMT_TK',
  SetAlgorithmSet: '@authHandle | algorithmSet:u32',
  SetCommandCodeAuditStatus: '@auth | auditAlg:TPM_ALG_ID setList:TPML_CC clearList:TPML_CC',
  FieldUpgradeData: '| fuData:TPM2B_DATA | | nextDigest:TPMT_HA firstDigest:TPMT_HA',
  IncrementalSelfTest: '| toTest:TPML_ALG | | toDoList:TPML_ALG',
  SelfTest: '| fullTest:TPMI_YES_NO',
  Startup: '| startupType:TPM_SU',
  Shutdown: '| shutdownType:TPM_SU',
  StirRandom: '| inData:TPM2B_SECRET',
  ActivateCredential:
    '@activateHandle @keyHandle | credentialBlob:TPM2B_ID_OBJECT secret:TPM2B_DATA | | certInfo:TPM2B_SECRET',
  Certify: `@objectHandle @signHandle | ${ATTESTS} | | certifyInfo:TPM2B_ATTEST signature:TPMT_SIGNATURE`,
  PolicyNV: '@authHandle nvIndex policySession | operandB:TPM2B_SECRET offset:u16 operation:TPM_EO',
  CertifyCreation:
    '@signHandle objectHandle | qualifyingData:TPM2B_DATA creationHash:TPM2B_DIGEST inScheme:TPMT_SIG_SCHEME creationTicket:TPMT_TK' +
    ' | | certifyInfo:TPM2B_ATTEST signature:TPMT_SIGNATURE',
  Duplicate:
    '@objectHandle newParentHandle | encryptionKeyIn:TPM2B_SECRET symmetricAlg:TPMT_SYM_DEF' +
    ' | | encryptionKeyOut:TPM2B_SECRET duplicate:TPM2B_PRIVATE outSymSeed:TPM2B_DATA',
  GetTime: `@privacyAdminHandle @signHandle | ${ATTESTS} | | timeInfo:TPM2B_ATTEST signature:TPMT_SIGNATURE`,
  GetSessionAuditDigest: `@privacyAdminHandle @signHandle sessionHandle | ${ATTESTS} | | auditInfo:TPM2B_ATTEST signature:TPMT_SIGNATURE`,
  NV_Read: '@authHandle nvIndex | size:u16 offset:u16 | | data:TPM2B_SECRET',
  NV_ReadLock: '@authHandle nvIndex',
  ObjectChangeAuth: '@objectHandle parentHandle | newAuth:TPM2B_AUTH | | outPrivate:TPM2B_PRIVATE',
  PolicySecret:
    '@authHandle policySession | nonceTPM:TPM2B_NONCE cpHashA:TPM2B_DIGEST policyRef:TPM2B_NONCE expiration:i32' +
    ' | | timeout:TPM2B_DATA policyTicket:TPMT_TK',
  Rewrap:
    '@oldParent newParent | inDuplicate:TPM2B_PRIVATE name:TPM2B_NAME inSymSeed:TPM2B_DATA' +
    ' | | outDuplicate:TPM2B_PRIVATE outSymSeed:TPM2B_DATA',
  Create: `@parentHandle | ${CREATES} | | outPrivate:TPM2B_PRIVATE ${CREATED}`,
  ECDH_ZGen: '@keyHandle | inPoint:TPM2B_ECC_POINT | | outPoint:TPM2B_SECRET_POINT',
  HMAC: '@handle | buffer:TPM2B_SECRET hashAlg:TPM_ALG_ID | | outHMAC:TPM2B_DIGEST',
  Import:
    '@parentHandle | encryptionKey:TPM2B_SECRET objectPublic:TPM2B_PUBLIC duplicate:TPM2B_PRIVATE inSymSeed:TPM2B_DATA' +
    ' symmetricAlg:TPMT_SYM_DEF | | outPrivate:TPM2B_PRIVATE',
  Load: '@parentHandle | inPrivate:TPM2B_PRIVATE inPublic:TPM2B_PUBLIC | objectHandle | name:TPM2B_NAME',
  Quote: `@signHandle | ${ATTESTS} PCRselect:TPML_PCR_SELECTION | | quoted:TPM2B_ATTEST signature:TPMT_SIGNATURE`,
  RSA_Decrypt:
    '@keyHandle | cipherText:TPM2B_DATA inScheme:TPMT_RSA_DECRYPT label:TPM2B_DATA | | message:TPM2B_SECRET',
  HMAC_Start: '@handle | auth:TPM2B_AUTH hashAlg:TPM_ALG_ID | sequenceHandle',
  SequenceUpdate: '@sequenceHandle | buffer:TPM2B_SECRET',
  Sign: '@keyHandle | digest:TPM2B_DIGEST inScheme:TPMT_SIG_SCHEME validation:TPMT_TK | | signature:TPMT_SIGNATURE',
  Unseal: '@itemHandle | | | outData:TPM2B_SECRET',
  PolicySigned:
    'authObject policySession | nonceTPM:TPM2B_NONCE cpHashA:TPM2B_DIGEST policyRef:TPM2B_NONCE expiration:i32' +
    ' auth:TPMT_SIGNATURE | | timeout:TPM2B_DATA policyTicket:TPMT_TK',
  ContextLoad: '| context:TPMS_CONTEXT | loadedHandle',
  ContextSave: 'saveHandle | | | context:TPMS_CONTEXT',
  ECDH_KeyGen: 'keyHandle | | | zPoint:TPM2B_SECRET_POINT pubPoint:TPM2B_ECC_POINT',
  EncryptDecrypt:
    '@keyHandle | decrypt:TPMI_YES_NO mode:TPM_ALG_ID ivIn:TPM2B_DATA inData:TPM2B_SECRET | | outData:TPM2B_SECRET ivOut:TPM2B_DATA',
  FlushContext: '| flushHandle:TPM_HANDLE',
  LoadExternal:
    '| inPrivate:TPM2B_SENSITIVE inPublic:TPM2B_PUBLIC hierarchy:TPM_HANDLE | objectHandle | name:TPM2B_NAME',
  MakeCredential:
    'handle | credential:TPM2B_SECRET objectName:TPM2B_NAME | | credentialBlob:TPM2B_ID_OBJECT secret:TPM2B_DATA',
  NV_ReadPublic: 'nvIndex | | | nvPublic:TPM2B_NV_PUBLIC nvName:TPM2B_NAME',
  PolicyAuthorize:
    'policySession | approvedPolicy:TPM2B_DIGEST policyRef:TPM2B_NONCE keySign:TPM2B_NAME checkTicket:TPMT_TK',
  PolicyAuthValue: 'policySession',
  PolicyCommandCode: 'policySession | code:TPM_CC',
  PolicyCounterTimer: 'policySession | operandB:TPM2B_DATA offset:u16 operation:TPM_EO',
  PolicyCpHash: 'policySession | cpHashA:TPM2B_DIGEST',
  PolicyLocality: 'policySession | locality:TPMA_LOCALITY',
  PolicyNameHash: 'policySession | nameHash:TPM2B_DIGEST',
  PolicyOR: 'policySession | pHashList:TPML_DIGEST',
  PolicyTicket:
    'policySession | timeout:TPM2B_DATA cpHashA:TPM2B_DIGEST policyRef:TPM2B_NONCE authName:TPM2B_NAME ticket:TPMT_TK',
  ReadPublic: 'objectHandle | | | outPublic:TPM2B_PUBLIC name:TPM2B_NAME qualifiedName:TPM2B_NAME',
  RSA_Encrypt:
    'keyHandle | message:TPM2B_SECRET inScheme:TPMT_RSA_DECRYPT label:TPM2B_DATA | | outData:TPM2B_DATA',
  StartAuthSession:
    'tpmKey bind | nonceCaller:TPM2B_NONCE encryptedSalt:TPM2B_DATA sessionType:TPM_SE symmetric:TPMT_SYM_DEF authHash:TPM_ALG_ID' +
    ' | sessionHandle | nonceTPM:TPM2B_NONCE',
  VerifySignature: 'keyHandle | digest:TPM2B_DIGEST signature:TPMT_SIGNATURE | | validation:TPMT_TK',
  ECC_Parameters: '| curveID:TPM_ECC_CURVE | | parameters:TPMS_ALGORITHM_DETAIL_ECC',
  FirmwareRead: '| sequenceNumber:u32 | | fuData:TPM2B_DATA',
  GetCapability:
    '| capability:TPM_CAP property:TPM_PROPERTY(capability) propertyCount:u32 | | moreData:TPMI_YES_NO capabilityData:TPMS_CAPABILITY_DATA',
  GetRandom: '| bytesRequested:u16 | | randomBytes:TPM2B_DIGEST',
  GetTestResult: '| | | outData:TPM2B_DATA testResult:TPM_RC',
  Hash: '| data:TPM2B_SECRET hashAlg:TPM_ALG_ID hierarchy:TPM_HANDLE | | outHash:TPM2B_DIGEST validation:TPMT_TK',
  PCR_Read:
    '| pcrSelectionIn:TPML_PCR_SELECTION | | pcrUpdateCounter:u32 pcrSelectionOut:TPML_PCR_SELECTION pcrValues:TPML_DIGEST',
  PolicyPCR: 'policySession | pcrDigest:TPM2B_DIGEST pcrs:TPML_PCR_SELECTION',
  PolicyRestart: 'sessionHandle',
  ReadClock: '| | | currentTime:TPMS_TIME_INFO',
  PCR_Extend: '@pcrHandle | digests:TPML_DIGEST_VALUES',
  PCR_SetAuthValue: '@pcrHandle | auth:TPM2B_AUTH',
  NV_Certify: `@signHandle @authHandle nvIndex | ${ATTESTS} size:u16 offset:u16 | | certifyInfo:TPM2B_ATTEST signature:TPMT_SIGNATURE`,
  EventSequenceComplete: '@pcrHandle @sequenceHandle | buffer:TPM2B_DATA | | results:TPML_DIGEST_VALUES',
  HashSequenceStart: '| auth:TPM2B_AUTH hashAlg:TPM_ALG_ID | sequenceHandle',
  PolicyPhysicalPresence: 'policySession',
  PolicyDuplicationSelect:
    'policySession | objectName:TPM2B_NAME newParentName:TPM2B_NAME includeObject:TPMI_YES_NO',
  PolicyGetDigest: 'policySession | | | policyDigest:TPM2B_DIGEST',
  TestParms: '| parameters:TPMT_PUBLIC_PARMS',
  Commit:
    '@signHandle | P1:TPM2B_ECC_POINT s2:TPM2B_SECRET y2:TPM2B_DATA | | K:TPM2B_ECC_POINT L:TPM2B_ECC_POINT E:TPM2B_ECC_POINT counter:u16',
  PolicyPassword: 'policySession',
  ZGen_2Phase:
    '@keyA | inQsB:TPM2B_ECC_POINT inQeB:TPM2B_ECC_POINT inScheme:TPM_ALG_ID counter:u16 | | outZ1:TPM2B_SECRET_POINT outZ2:TPM2B_SECRET_POINT',
  EC_Ephemeral: '| curveID:TPM_ECC_CURVE | | Q:TPM2B_ECC_POINT counter:u16',
  PolicyNvWritten: 'policySession | writtenSet:TPMI_YES_NO',
  PolicyTemplate: 'policySession | templateHash:TPM2B_DIGEST',
  CreateLoaded:
    '@parentHandle | inSensitive:TPM2B_SENSITIVE_CREATE inPublic:TPM2B_TEMPLATE | objectHandle' +
    ' | outPrivate:TPM2B_PRIVATE outPublic:TPM2B_PUBLIC name:TPM2B_NAME',
  PolicyAuthorizeNV: '@authHandle nvIndex policySession',
  EncryptDecrypt2:
    '@keyHandle | inData:TPM2B_SECRET decrypt:TPMI_YES_NO mode:TPM_ALG_ID ivIn:TPM2B_DATA | | outData:TPM2B_SECRET ivOut:TPM2B_DATA',
  AC_GetCapability:
    'ac | capability:TPM_AT count:u32 | | moreData:TPMI_YES_NO capabilitiesData:TPML_AC_CAPABILITIES',
  AC_Send: '@sendObject @authHandle ac | acDataIn:TPM2B_DATA | | acDataOut:TPMS_AC_OUTPUT',
  Policy_AC_SendSelect:
    'policySession | objectName:TPM2B_NAME authHandleName:TPM2B_NAME acName:TPM2B_NAME includeObject:TPMI_YES_NO',
  CertifyX509:
    '@objectHandle @signHandle | reserved:TPM2B_DATA inScheme:TPMT_SIG_SCHEME partialCertificate:TPM2B_DATA' +
    ' | | addedToCertificate:TPM2B_DATA tbsDigest:TPM2B_DIGEST signature:TPMT_SIGNATURE',
  ACT_SetTimeout: '@actHandle | startTimeout:u32',
  ECC_Encrypt:
    'keyHandle | plainText:TPM2B_SECRET inScheme:TPMT_KDF_SCHEME | | C1:TPM2B_ECC_POINT C2:TPM2B_DATA C3:TPM2B_DIGEST',
  ECC_Decrypt:
    '@keyHandle | C1:TPM2B_ECC_POINT C2:TPM2B_DATA C3:TPM2B_DIGEST inScheme:TPMT_KDF_SCHEME | | plainText:TPM2B_SECRET',
  PolicyCapability:
    'policySession | operandB:TPM2B_DATA offset:u16 operation:TPM_EO capability:TPM_CAP property:TPM_PROPERTY(capability)',
  PolicyParameters: 'policySession | pHash:TPM2B_DIGEST',
  NV_DefineSpace2: '@authHandle | auth:TPM2B_AUTH publicInfo:TPM2B_NV_PUBLIC_2',
  NV_ReadPublic2: 'nvIndex | | | nvPublic:TPM2B_NV_PUBLIC_2 nvName:TPM2B_NAME',
  SetCapability: '@authHandle | setCapabilityData:TPM2B_DATA',
  ReadOnlyControl: '@authHandle | state:TPMI_YES_NO',
  PolicyTransportSPDM: 'policySession | reqKeyName:TPM2B_NAME tpmKeyName:TPM2B_NAME',
  SetLocality: '| locality:u8',
  Vendor_TCG_Test: '| inputData:TPM2B_DATA | | outputData:TPM2B_DATA',
}
