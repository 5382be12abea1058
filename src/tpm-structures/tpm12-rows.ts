/**
 * What each TPM 1.2 command carries, as command-rows.ts has it for 2.0. Authorization follows at the end, as the tag says.
 * Types are in tpm12-structures.ts. `enc…` values are enciphered for the TPM, and secrets nevertheless.
 * @see TPM Main Part 3
 */
import type { TPM_ORD } from './command-codes.ts'

const SEALS = 'keyHandle | encAuth:AUTH pcrInfo:B32 inData:S32 | | sealedData:TPM_STORED_DATA'
const LOADS = 'parentHandle | inKey:TPM_KEY | inkeyHandle'
const NV_WRITES = '| nvIndex:HEX32 offset:u32 data:S32'
const NV_READS = '| nvIndex:HEX32 offset:u32 dataSize:u32 | | data:S32'
const DAA = 'handle | stage:u8 inputData0:S32 inputData1:S32 | | outputData:S32'

export const ORDINAL_ROWS: Readonly<Record<keyof typeof TPM_ORD, string>> = {
  OIAP: '| | authHandle | nonceEven:NONCE',
  OSAP: '| entityType:TPM_ENTITY_TYPE entityValue:HANDLE nonceOddOSAP:NONCE | authHandle | nonceEven:NONCE nonceEvenOSAP:NONCE',
  ChangeAuth:
    'parentHandle | protocolID:TPM_PROTOCOL_ID newAuth:AUTH entityType:TPM_ENTITY_TYPE encData:S32 | | outData:S32',
  TakeOwnership:
    '| protocolID:TPM_PROTOCOL_ID encOwnerAuth:S32 encSrkAuth:S32 srkParams:TPM_KEY | | srkPub:TPM_KEY',
  ChangeAuthAsymStart:
    'idHandle | antiReplay:NONCE tempKey:TPM_KEY_PARMS | | certifyInfo:TPM_CERTIFY_INFO sig:B32 ephHandle:HANDLE tempKey:TPM_KEY',
  ChangeAuthAsymFinish:
    'parentHandle ephHandle | entityType:TPM_ENTITY_TYPE newAuthLink:DIGEST encNewAuth:S32 encData:S32 | | outData:S32 saltNonce:NONCE changeProof:DIGEST',
  ChangeAuthOwner: '| protocolID:TPM_PROTOCOL_ID newAuth:AUTH entityType:TPM_ENTITY_TYPE',
  DSAP: '| entityType:TPM_ENTITY_TYPE keyHandle:HANDLE nonceOddDSAP:NONCE entityValue:B32 | authHandle | nonceEven:NONCE nonceEvenDSAP:NONCE',
  CMK_CreateTicket: '| verificationKey:TPM_PUBKEY signedData:DIGEST signatureValue:B32 | | sigTicket:DIGEST',
  CMK_CreateKey:
    'parentHandle | dataUsageAuth:AUTH keyInfo:TPM_KEY migrationAuthorityApproval:DIGEST migrationAuthorityDigest:DIGEST | | wrappedKey:TPM_KEY',
  Extend: '| pcrNum:u32 inDigest:DIGEST | | outDigest:DIGEST',
  PCRRead: '| pcrIndex:u32 | | outDigest:DIGEST',
  Quote: 'keyHandle | externalData:NONCE targetPCR:TPM_PCR_SELECTION | | pcrData:TPM_PCR_COMPOSITE sig:B32',
  Seal: SEALS,
  Unseal: 'parentHandle | inData:TPM_STORED_DATA | | secret:S32',
  DirWriteAuth: '| dirIndex:u32 newContents:DIGEST',
  DirRead: '| dirIndex:u32 | | dirContents:DIGEST',
  CMK_CreateBlob:
    'parentHandle | migrationType:u16 migrationKeyAuth:TPM_MIGRATIONKEYAUTH pubSourceKeyDigest:DIGEST msaList:B32' +
    ' restrictTicket:B32 sigTicket:B32 encData:S32 | | random:S32 outData:S32',
  CMK_SetRestrictions: '| restriction:u32',
  CMK_ApproveMA: '| migrationAuthorityDigest:DIGEST | | outData:DIGEST',
  UnBind: 'keyHandle | inData:B32 | | outData:S32',
  CreateWrapKey:
    'parentHandle | dataUsageAuth:AUTH dataMigrationAuth:AUTH keyInfo:TPM_KEY | | wrappedKey:TPM_KEY',
  LoadKey: LOADS,
  GetPubKey: 'keyHandle | | | pubKey:TPM_PUBKEY',
  EvictKey: 'evictHandle',
  KeyControlOwner: 'keyHandle | pubKey:TPM_PUBKEY bitName:u32 bitValue:BOOL',
  CMK_ConvertMigration:
    'parentHandle | restrictTicket:TPM_CMK_AUTH sigTicket:DIGEST migratedKey:TPM_KEY msaList:B32 random:S32 | | outData:S32',
  MigrateKey: 'maKeyHandle | pubKey:TPM_PUBKEY inData:S32 | | outData:S32',
  CreateMigrationBlob:
    'parentHandle | migrationType:u16 migrationKeyAuth:TPM_MIGRATIONKEYAUTH encData:S32 | | random:S32 outData:S32',
  DAA_Join: DAA,
  ConvertMigrationBlob: 'parentHandle | inData:S32 random:S32 | | outData:S32',
  AuthorizeMigrationKey: '| migrationScheme:u16 migrationKey:TPM_PUBKEY | | outData:TPM_MIGRATIONKEYAUTH',
  CreateMaintenanceArchive: '| generateRandom:BOOL | | random:S32 archive:S32',
  LoadMaintenanceArchive: '| archive:SECRET_REST',
  KillMaintenanceFeature: '',
  LoadManuMaintPub: '| antiReplay:NONCE pubKey:TPM_PUBKEY | | checksum:DIGEST',
  ReadManuMaintPub: '| antiReplay:NONCE | | checksum:DIGEST',
  DAA_Sign: DAA,
  CertifyKey: 'certHandle keyHandle | antiReplay:NONCE | | certifyInfo:TPM_CERTIFY_INFO outData:B32',
  CertifyKey2:
    'keyHandle certHandle | migrationPubDigest:DIGEST antiReplay:NONCE | | certifyInfo:TPM_CERTIFY_INFO outData:B32',
  Sign: 'keyHandle | areaToSign:B32 | | sig:B32',
  Sealx: SEALS,
  Quote2:
    'keyHandle | externalData:NONCE targetPCR:TPM_PCR_SELECTION addVersion:BOOL | | pcrData:TPM_PCR_INFO_SHORT versionInfo:B32 sig:B32',
  SetCapability: '| capArea:HEX32 subCap:B32 setValue:B32',
  ResetLockValue: '',
  LoadKey2: LOADS,
  GetRandom: '| bytesRequested:u32 | | randomBytes:B32',
  StirRandom: '| inData:S32',
  SelfTestFull: '',
  CertifySelfTest: 'keyHandle | antiReplay:NONCE | | sig:B32',
  ContinueSelfTest: '',
  GetTestResult: '| | | outData:B32',
  Reset: '',
  OwnerClear: '',
  DisableOwnerClear: '',
  ForceClear: '',
  DisableForceClear: '',
  GetCapabilitySigned:
    'keyHandle | antiReplay:NONCE capArea:TPM_CAPABILITY_AREA subCap:B32 | | version:HEX32 resp:B32 sig:B32',
  GetCapability: '| capArea:TPM_CAPABILITY_AREA subCap:TPM_SUB_CAP(capArea) | | resp:B32',
  GetCapabilityOwner: '| | | version:HEX32 non_volatile_flags:HEX32 volatile_flags:HEX32',
  OwnerSetDisable: '| disableState:BOOL',
  PhysicalEnable: '',
  PhysicalDisable: '',
  SetOwnerInstall: '| state:BOOL',
  PhysicalSetDeactivated: '| state:BOOL',
  SetTempDeactivated: '',
  SetOperatorAuth: '| operatorAuth:AUTH',
  SetOwnerPointer: '| entityType:TPM_ENTITY_TYPE entityValue:HANDLE',
  CreateEndorsementKeyPair:
    '| antiReplay:NONCE keyInfo:TPM_KEY_PARMS | | pubEndorsementKey:TPM_PUBKEY checksum:DIGEST',
  MakeIdentity:
    '| identityAuth:AUTH labelPrivCADigest:DIGEST idKeyParams:TPM_KEY | | idKey:TPM_KEY identityBinding:B32',
  ActivateIdentity: 'idKeyHandle | blob:B32 | | symmetricKey:TPM_SYMMETRIC_KEY',
  ReadPubek: '| antiReplay:NONCE | | pubEndorsementKey:TPM_PUBKEY checksum:DIGEST',
  OwnerReadPubek: '| | | pubEndorsementKey:TPM_PUBKEY',
  DisablePubekRead: '',
  CreateRevocableEK:
    '| antiReplay:NONCE keyInfo:TPM_KEY_PARMS generateReset:BOOL inputEKreset:AUTH' +
    ' | | pubEndorsementKey:TPM_PUBKEY checksum:DIGEST outputEKreset:AUTH',
  RevokeTrust: '| EKReset:AUTH',
  OwnerReadInternalPub: 'keyHandle | | | publicPortion:TPM_PUBKEY',
  GetAuditEvent: '',
  GetAuditEventSigned: '',
  GetAuditDigest:
    '| startOrdinal:TPM_ORDINAL | | counterValue:TPM_COUNTER_VALUE auditDigest:DIGEST more:BOOL ordList:B32',
  GetAuditDigestSigned:
    'keyHandle | closeAudit:BOOL antiReplay:NONCE | | counterValue:TPM_COUNTER_VALUE auditDigest:DIGEST ordinalDigest:DIGEST sig:B32',
  GetOrdinalAuditStatus: '| ordinalToQuery:TPM_ORDINAL | | state:BOOL',
  SetOrdinalAuditStatus: '| ordinalToAudit:TPM_ORDINAL auditState:BOOL',
  Terminate_Handle: 'handle',
  Init: '',
  SaveState: '',
  Startup: '| startupType:TPM_STARTUP_TYPE',
  SetRedirection: 'keyHandle | redirCmd:u32 inputData:B32',
  SHA1Start: '| | | maxNumBytes:u32',
  SHA1Update: '| hashData:S32',
  SHA1Complete: '| hashData:S32 | | hashValue:DIGEST',
  SHA1CompleteExtend: '| pcrNum:u32 hashData:B32 | | hashValue:DIGEST outDigest:DIGEST',
  FieldUpgrade: '| data:REST',
  SaveKeyContext: 'keyHandle | | | keyContextBlob:B32',
  LoadKeyContext: '| keyContextBlob:B32 | keyHandle',
  SaveAuthContext: 'authHandle | | | authContextBlob:B32',
  LoadAuthContext: '| authContextBlob:B32 | authHandle',
  SaveContext: 'handle | resourceType:TPM_RESOURCE_TYPE label:LABEL16 | | contextBlob:B32',
  LoadContext: 'entityHandle | keepHandle:BOOL contextBlob:B32 | handle',
  FlushSpecific: 'handle | resourceType:TPM_RESOURCE_TYPE',
  PCR_Reset: '| pcrSelection:TPM_PCR_SELECTION',
  NV_DefineSpace: '| pubInfo:TPM_NV_DATA_PUBLIC encAuth:AUTH',
  NV_WriteValue: NV_WRITES,
  NV_WriteValueAuth: NV_WRITES,
  NV_ReadValue: NV_READS,
  NV_ReadValueAuth: NV_READS,
  Delegate_UpdateVerification: '| inputData:B32 | | outputData:B32',
  Delegate_Manage: '| familyID:u32 opCode:u32 opData:B32 | | retData:B32',
  Delegate_CreateKeyDelegation: 'keyHandle | publicInfo:TPM_DELEGATE_PUBLIC delAuth:AUTH | | blob:B32',
  Delegate_CreateOwnerDelegation: '| increment:BOOL publicInfo:TPM_DELEGATE_PUBLIC delAuth:AUTH | | blob:B32',
  Delegate_VerifyDelegation: '| delegation:B32',
  Delegate_LoadOwnerDelegation: '| index:u32 blob:B32',
  Delegate_ReadTable: '| | | familyTable:B32 delegateTable:B32',
  CreateCounter: '| encAuth:AUTH label:LABEL | | countID:u32 counterValue:TPM_COUNTER_VALUE',
  IncrementCounter: '| countID:u32 | | count:TPM_COUNTER_VALUE',
  ReadCounter: '| countID:u32 | | counterValue:TPM_COUNTER_VALUE',
  ReleaseCounter: '| countID:u32',
  ReleaseCounterOwner: '| countID:u32',
  EstablishTransport:
    'encHandle | transPublic:TPM_TRANSPORT_PUBLIC secret:S32 | transHandle | locality:u32 currentTicks:TPM_CURRENT_TICKS transNonce:NONCE',
  ExecuteTransport: '| wrappedCmd:S32 | | currentTicks:u64 locality:u32 wrappedRsp:S32',
  ReleaseTransportSigned:
    'keyHandle | antiReplay:NONCE | | locality:u32 currentTicks:TPM_CURRENT_TICKS sig:B32',
  GetTicks: '| | | currentTime:TPM_CURRENT_TICKS',
  TickStampBlob:
    'keyHandle | antiReplay:NONCE digestToStamp:DIGEST | | currentTicks:TPM_CURRENT_TICKS sig:B32',
  TSC_PhysicalPresence: '| physicalPresence:TPM_PHYSICAL_PRESENCE',
  TSC_ResetEstablishmentBit: '',
  SetLocality: '| locality:u8',
}
