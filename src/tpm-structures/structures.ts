/**
 * The structures of TPM 2.0, a row for each: the kind, and what it is made of. schema.ts reads them.
 *
 *     u8 u16 u32 u64 i8 i32 [NAMES]  a number, and the table of constants.ts that has words for it
 *     bytes WIDTH [SIZE]             a size of that width and so many bytes; the size field is called `size`, or SIZE
 *     secret WIDTH                   the same, shown by its length only
 *     sized WIDTH TYPE               a size, and a structure in so many bytes; a size of 0: there is none
 *     list WIDTH TYPE                a count, and so many of them
 *     fixed N                        N bytes
 *     digest                         as many bytes as the algorithm in the field between ( ) makes
 *     rest                           all bytes up to the end of what encloses it
 *     union NAME:TYPE …              which one is said by the field between ( ); * is any other
 *     name:TYPE …                    a structure
 *
 * @see TPM 2.0 Part 2
 */

const SCHEME_HASH = 'RSASSA RSAPSS ECDSA SM2 ECSCHNORR OAEP ECDH ECMQV HMAC'
const ECC_SIGNATURES = 'ECDSA ECDAA SM2 ECSCHNORR'
const CIPHERS = 'TDES AES SM4 CAMELLIA'
const each = (names: string, type: string): string => names.replaceAll(/\S+/g, (name) => `${name}:${type}`)

export const STRUCTURES: Readonly<Record<string, string>> = {
  // Numbers
  TPM_ALG_ID: 'u16 ALG',
  TPM_ALG_ID_32: 'u32 ALG',
  TPM_ECC_CURVE: 'u16 ECC_CURVE',
  TPM_ECC_CURVE_32: 'u32 ECC_CURVE',
  TPM_CC: 'u32 CC',
  TPM_RC: 'u32 RC',
  TPM_ST: 'u16 ST',
  TPM_SU: 'u16 SU',
  TPM_SE: 'u8 SE',
  TPM_EO: 'u16 EO',
  TPM_CAP: 'u32 CAP',
  TPM_PT: 'u32 PT',
  TPM_PT_PCR: 'u32 PT_PCR',
  TPM_HT: 'u8 HT',
  TPM_AT: 'u32 AT',
  TPM_HANDLE: 'u32 HANDLE',
  TPM_CLOCK_ADJUST: 'i8 CLOCK_ADJUST',
  TPMI_YES_NO: 'u8 YES_NO',
  TPM_PROPERTY:
    'union ALGS:TPM_ALG_ID_32 HANDLES:TPM_HANDLE COMMANDS:TPM_CC PP_COMMANDS:TPM_CC AUDIT_COMMANDS:TPM_CC' +
    ' TPM_PROPERTIES:TPM_PT PCR_PROPERTIES:TPM_PT_PCR ECC_CURVES:TPM_ECC_CURVE_32 AUTH_POLICIES:TPM_HANDLE ACT:TPM_HANDLE *:u32',
  TPMA_ALGORITHM: 'u32 ALGORITHM',
  TPMA_OBJECT: 'u32 OBJECT',
  TPMA_LOCALITY: 'u8 LOCALITY',
  TPMA_NV: 'u32 NV',
  TPMA_NV_EXP: 'u64 NV',
  TPMA_CC: 'u32 CCA',
  TPMA_ACT: 'u32 ACT',
  TPMA_SESSION: 'u8 SESSION',
  TPM_GENERATED: 'u32 GENERATED',

  // Bytes
  TPM2B_DATA: 'bytes u16',
  TPM2B_DIGEST: 'bytes u16',
  TPM2B_NONCE: 'bytes u16',
  TPM2B_NAME: 'bytes u16',
  TPM2B_AUTH: 'secret u16',
  TPM2B_SECRET: 'secret u16',
  TPM2B_PRIVATE: 'secret u16',
  REST: 'rest',
  EMPTY: 'fixed 0',
  TPMU_HA: 'digest',

  // Hashes, tickets, PCRs
  TPMT_HA: 'hashAlg:TPM_ALG_ID digest:TPMU_HA(hashAlg)',
  TPMT_TK: 'tag:TPM_ST hierarchy:TPM_HANDLE digest:TPM2B_DIGEST',
  TPMS_PCR_SELECT: 'bytes u8 sizeofSelect',
  TPMS_PCR_SELECTION: 'hash:TPM_ALG_ID pcrSelect:TPMS_PCR_SELECT',
  TPML_PCR_SELECTION: 'list u32 TPMS_PCR_SELECTION',
  TPML_DIGEST: 'list u32 TPM2B_DIGEST',
  TPML_DIGEST_VALUES: 'list u32 TPMT_HA',
  TPML_CC: 'list u32 TPM_CC',
  TPML_ALG: 'list u32 TPM_ALG_ID',

  // Capabilities
  TPMS_CAPABILITY_DATA: 'capability:TPM_CAP data:TPMU_CAPABILITIES(capability)',
  TPMU_CAPABILITIES:
    'union ALGS:TPML_ALG_PROPERTY HANDLES:TPML_HANDLE COMMANDS:TPML_CCA PP_COMMANDS:TPML_CC AUDIT_COMMANDS:TPML_CC' +
    ' PCRS:TPML_PCR_SELECTION TPM_PROPERTIES:TPML_TAGGED_TPM_PROPERTY PCR_PROPERTIES:TPML_TAGGED_PCR_PROPERTY' +
    ' ECC_CURVES:TPML_ECC_CURVE AUTH_POLICIES:TPML_TAGGED_POLICY ACT:TPML_ACT_DATA *:REST',
  TPML_ALG_PROPERTY: 'list u32 TPMS_ALG_PROPERTY',
  TPMS_ALG_PROPERTY: 'alg:TPM_ALG_ID algProperties:TPMA_ALGORITHM',
  TPML_HANDLE: 'list u32 TPM_HANDLE',
  TPML_CCA: 'list u32 TPMA_CC',
  TPML_TAGGED_TPM_PROPERTY: 'list u32 TPMS_TAGGED_PROPERTY',
  TPMS_TAGGED_PROPERTY: 'property:TPM_PT value:u32',
  TPML_TAGGED_PCR_PROPERTY: 'list u32 TPMS_TAGGED_PCR_SELECT',
  TPMS_TAGGED_PCR_SELECT: 'tag:TPM_PT_PCR pcrSelect:TPMS_PCR_SELECT',
  TPML_ECC_CURVE: 'list u32 TPM_ECC_CURVE',
  TPML_TAGGED_POLICY: 'list u32 TPMS_TAGGED_POLICY',
  TPMS_TAGGED_POLICY: 'handle:TPM_HANDLE policyHash:TPMT_HA',
  TPML_ACT_DATA: 'list u32 TPMS_ACT_DATA',
  TPMS_ACT_DATA: 'handle:TPM_HANDLE timeout:u32 attributes:TPMA_ACT',
  TPML_AC_CAPABILITIES: 'list u32 TPMS_AC_OUTPUT',
  TPMS_AC_OUTPUT: 'tag:TPM_AT data:u32',

  // Schemes
  TPMS_SCHEME_HASH: 'hashAlg:TPM_ALG_ID',
  TPMS_SCHEME_ECDAA: 'hashAlg:TPM_ALG_ID count:u16',
  TPMS_SCHEME_XOR: 'hashAlg:TPM_ALG_ID kdf:TPM_ALG_ID',
  TPMU_KEY_BITS: `union ${each(CIPHERS, 'u16')} XOR:TPM_ALG_ID NULL:EMPTY`,
  TPMU_SYM_MODE: `union ${each(CIPHERS, 'TPM_ALG_ID')} XOR:EMPTY NULL:EMPTY`,
  TPMT_SYM_DEF: 'algorithm:TPM_ALG_ID keyBits:TPMU_KEY_BITS(algorithm) mode:TPMU_SYM_MODE(algorithm)',
  TPMU_ASYM_SCHEME: `union ${each(SCHEME_HASH, 'TPMS_SCHEME_HASH')} ECDAA:TPMS_SCHEME_ECDAA RSAES:EMPTY NULL:EMPTY`,
  TPMT_SIG_SCHEME: 'scheme:TPM_ALG_ID details:TPMU_ASYM_SCHEME(scheme)',
  TPMT_ASYM_SCHEME: 'scheme:TPM_ALG_ID details:TPMU_ASYM_SCHEME(scheme)',
  TPMT_RSA_DECRYPT: 'scheme:TPM_ALG_ID details:TPMU_ASYM_SCHEME(scheme)',
  TPMU_KDF_SCHEME: `union ${each('MGF1 KDF1_SP800_56A KDF2 KDF1_SP800_108', 'TPMS_SCHEME_HASH')} NULL:EMPTY`,
  TPMT_KDF_SCHEME: 'scheme:TPM_ALG_ID details:TPMU_KDF_SCHEME(scheme)',
  TPMU_SCHEME_KEYEDHASH: 'union HMAC:TPMS_SCHEME_HASH XOR:TPMS_SCHEME_XOR NULL:EMPTY',
  TPMT_KEYEDHASH_SCHEME: 'scheme:TPM_ALG_ID details:TPMU_SCHEME_KEYEDHASH(scheme)',

  // Objects
  TPMS_ECC_POINT: 'x:TPM2B_DATA y:TPM2B_DATA',
  TPM2B_ECC_POINT: 'sized u16 TPMS_ECC_POINT',
  TPMS_SECRET_POINT: 'x:TPM2B_SECRET y:TPM2B_SECRET',
  TPM2B_SECRET_POINT: 'sized u16 TPMS_SECRET_POINT',
  TPMS_KEYEDHASH_PARMS: 'scheme:TPMT_KEYEDHASH_SCHEME',
  TPMS_SYMCIPHER_PARMS: 'sym:TPMT_SYM_DEF',
  TPMS_RSA_PARMS: 'symmetric:TPMT_SYM_DEF scheme:TPMT_ASYM_SCHEME keyBits:u16 exponent:u32',
  TPMS_ECC_PARMS: 'symmetric:TPMT_SYM_DEF scheme:TPMT_ASYM_SCHEME curveID:TPM_ECC_CURVE kdf:TPMT_KDF_SCHEME',
  TPMU_PUBLIC_PARMS:
    'union KEYEDHASH:TPMS_KEYEDHASH_PARMS SYMCIPHER:TPMS_SYMCIPHER_PARMS RSA:TPMS_RSA_PARMS ECC:TPMS_ECC_PARMS',
  TPMT_PUBLIC_PARMS: 'type:TPM_ALG_ID parameters:TPMU_PUBLIC_PARMS(type)',
  TPMU_PUBLIC_ID: 'union KEYEDHASH:TPM2B_DIGEST SYMCIPHER:TPM2B_DIGEST RSA:TPM2B_DATA ECC:TPMS_ECC_POINT',
  TPMT_PUBLIC:
    'type:TPM_ALG_ID nameAlg:TPM_ALG_ID objectAttributes:TPMA_OBJECT authPolicy:TPM2B_DIGEST' +
    ' parameters:TPMU_PUBLIC_PARMS(type) unique:TPMU_PUBLIC_ID(type)',
  TPM2B_PUBLIC: 'sized u16 TPMT_PUBLIC',
  // Where the parent derives keys, `unique` has another form.
  TPMT_TEMPLATE:
    'type:TPM_ALG_ID nameAlg:TPM_ALG_ID objectAttributes:TPMA_OBJECT authPolicy:TPM2B_DIGEST' +
    ' parameters:TPMU_PUBLIC_PARMS(type) unique:REST',
  TPM2B_TEMPLATE: 'sized u16 TPMT_TEMPLATE',
  TPMS_SENSITIVE_CREATE: 'userAuth:TPM2B_AUTH data:TPM2B_SECRET',
  TPM2B_SENSITIVE_CREATE: 'sized u16 TPMS_SENSITIVE_CREATE',
  TPMT_SENSITIVE:
    'sensitiveType:TPM_ALG_ID authValue:TPM2B_AUTH seedValue:TPM2B_SECRET sensitive:TPM2B_SECRET',
  TPM2B_SENSITIVE: 'sized u16 TPMT_SENSITIVE',
  TPMS_CREATION_DATA:
    'pcrSelect:TPML_PCR_SELECTION pcrDigest:TPM2B_DIGEST locality:TPMA_LOCALITY parentNameAlg:TPM_ALG_ID' +
    ' parentName:TPM2B_NAME parentQualifiedName:TPM2B_NAME outsideInfo:TPM2B_DATA',
  TPM2B_CREATION_DATA: 'sized u16 TPMS_CREATION_DATA',
  TPMS_ID_OBJECT: 'integrityHMAC:TPM2B_DIGEST encIdentity:REST',
  TPM2B_ID_OBJECT: 'sized u16 TPMS_ID_OBJECT',
  TPMS_CONTEXT: 'sequence:u64 savedHandle:TPM_HANDLE hierarchy:TPM_HANDLE contextBlob:TPM2B_DATA',
  TPMS_ALGORITHM_DETAIL_ECC:
    'curveID:TPM_ECC_CURVE keySize:u16 kdf:TPMT_KDF_SCHEME sign:TPMT_ASYM_SCHEME' +
    ` ${each('p a b gX gY n h', 'TPM2B_DATA')}`,

  // Signatures, attestations, time
  TPMS_SIGNATURE_RSA: 'hash:TPM_ALG_ID sig:TPM2B_DATA',
  TPMS_SIGNATURE_ECC: 'hash:TPM_ALG_ID signatureR:TPM2B_DATA signatureS:TPM2B_DATA',
  TPMU_SIGNATURE: `union ${each('RSASSA RSAPSS', 'TPMS_SIGNATURE_RSA')} ${each(ECC_SIGNATURES, 'TPMS_SIGNATURE_ECC')} HMAC:TPMT_HA NULL:EMPTY`,
  TPMT_SIGNATURE: 'sigAlg:TPM_ALG_ID signature:TPMU_SIGNATURE(sigAlg)',
  TPMS_CLOCK_INFO: 'clock:u64 resetCount:u32 restartCount:u32 safe:TPMI_YES_NO',
  TPMS_TIME_INFO: 'time:u64 clockInfo:TPMS_CLOCK_INFO',
  TPMS_CERTIFY_INFO: 'name:TPM2B_NAME qualifiedName:TPM2B_NAME',
  TPMS_CREATION_INFO: 'objectName:TPM2B_NAME creationHash:TPM2B_DIGEST',
  TPMS_QUOTE_INFO: 'pcrSelect:TPML_PCR_SELECTION pcrDigest:TPM2B_DIGEST',
  TPMS_COMMAND_AUDIT_INFO:
    'auditCounter:u64 digestAlg:TPM_ALG_ID auditDigest:TPM2B_DIGEST commandDigest:TPM2B_DIGEST',
  TPMS_SESSION_AUDIT_INFO: 'exclusiveSession:TPMI_YES_NO sessionDigest:TPM2B_DIGEST',
  TPMS_TIME_ATTEST_INFO: 'time:TPMS_TIME_INFO firmwareVersion:u64',
  TPMS_NV_CERTIFY_INFO: 'indexName:TPM2B_NAME offset:u16 nvContents:TPM2B_SECRET',
  TPMS_NV_DIGEST_CERTIFY_INFO: 'indexName:TPM2B_NAME nvDigest:TPM2B_DIGEST',
  TPMU_ATTEST:
    'union ATTEST_CERTIFY:TPMS_CERTIFY_INFO ATTEST_CREATION:TPMS_CREATION_INFO ATTEST_QUOTE:TPMS_QUOTE_INFO' +
    ' ATTEST_COMMAND_AUDIT:TPMS_COMMAND_AUDIT_INFO ATTEST_SESSION_AUDIT:TPMS_SESSION_AUDIT_INFO' +
    ' ATTEST_TIME:TPMS_TIME_ATTEST_INFO ATTEST_NV:TPMS_NV_CERTIFY_INFO ATTEST_NV_DIGEST:TPMS_NV_DIGEST_CERTIFY_INFO',
  TPMS_ATTEST:
    'magic:TPM_GENERATED type:TPM_ST qualifiedSigner:TPM2B_NAME extraData:TPM2B_DATA clockInfo:TPMS_CLOCK_INFO' +
    ' firmwareVersion:u64 attested:TPMU_ATTEST(type)',
  TPM2B_ATTEST: 'sized u16 TPMS_ATTEST',

  // NV
  TPMS_NV_PUBLIC:
    'nvIndex:TPM_HANDLE nameAlg:TPM_ALG_ID attributes:TPMA_NV authPolicy:TPM2B_DIGEST dataSize:u16',
  TPM2B_NV_PUBLIC: 'sized u16 TPMS_NV_PUBLIC',
  TPMS_NV_PUBLIC_EXP_ATTR:
    'nvIndex:TPM_HANDLE nameAlg:TPM_ALG_ID attributes:TPMA_NV_EXP authPolicy:TPM2B_DIGEST dataSize:u16',
  TPMU_NV_PUBLIC_2:
    'union NV_INDEX:TPMS_NV_PUBLIC EXTERNAL_NV:TPMS_NV_PUBLIC_EXP_ATTR PERMANENT_NV:TPMS_NV_PUBLIC',
  TPMT_NV_PUBLIC_2: 'handleType:TPM_HT nvPublic2:TPMU_NV_PUBLIC_2(handleType)',
  TPM2B_NV_PUBLIC_2: 'sized u16 TPMT_NV_PUBLIC_2',
}
