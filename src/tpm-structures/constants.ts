/**
 * Words for numbers, in tables by name: constants, bits, handles. What programs need in code is in codes.ts; here is what is
 * only printed and read back.
 * @see TPM 2.0 Part 2, 6 to 8; TPM Main Part 2
 */
import type { TpmVersion } from '../../contract/engine-options.ts'
import { TPM_ALG, TPM_ECC_CURVE, TPMA_NV, TPMA_OBJECT } from './codes.ts'
import { TPM_CC, TPM_ORD } from './command-codes.ts'
import { handleNamed, handleText } from './handles.ts'
import { PROPERTIES } from './properties.ts'
import { parseResultCode, resultText } from './result-codes.ts'

export interface Constants {
  /** @returns undefined: there is no word for the number */
  text(value: number): string | undefined
  /** @param word in any case @returns undefined: no number is called so */
  value(word: string): number | undefined
  /** All words, for "did you mean". */
  readonly words: readonly string[]
  readonly kind: 'names' | 'bits' | 'handles' | 'codes' | 'yes-no'
}

type Table = Readonly<Record<string, number>>

/** One number, one word; of two words for a number the first is printed. */
function names(table: Table): Constants {
  const texts = new Map<number, string>()
  const values = new Map<string, number>()
  for (const [name, value] of Object.entries(table)) {
    if (!texts.has(value)) texts.set(value, name)
    values.set(name.toLowerCase(), value)
  }
  return {
    kind: 'names',
    text: (value) => texts.get(value),
    value: (word) => values.get(word.toLowerCase()),
    words: Object.keys(table),
  }
}

/** Each set bit has a word; bits without one are printed as a number. `-`: none is set. */
function bits(table: Table): Constants {
  const entries = Object.entries(table)
  const values = new Map(entries.map(([name, value]) => [name.toLowerCase(), value >>> 0]))
  return {
    kind: 'bits',
    text(value) {
      let left = value >>> 0
      const words: string[] = []
      for (const [name, mask] of entries) {
        if ((left & mask) === 0) continue
        words.push(name)
        left = (left & ~mask) >>> 0
      }
      if (left !== 0) words.push(`0x${left.toString(16)}`)
      return words.join('|') || '-'
    },
    value(text) {
      let sum = 0
      for (const word of text === '-' ? [] : text.split('|')) {
        const value =
          values.get(word.toLowerCase()) ?? (/^0x[0-9a-f]{1,8}$/i.test(word) ? Number(word) : undefined)
        if (value === undefined) return undefined
        sum = (sum | value) >>> 0
      }
      return sum
    },
    words: Object.keys(table),
  }
}

/** The names of bits 0, 1, 2 …; an empty one is skipped. */
const fromBit0 = (text: string): Table =>
  Object.fromEntries(text.split(' ').flatMap((name, bit) => (name === '_' ? [] : [[name, (1 << bit) >>> 0]])))

/** The names of numbers that follow each other. */
const from = (first: number, text: string): Table =>
  Object.fromEntries(text.split(' ').flatMap((name, at) => (name === '_' ? [] : [[name, first + at]])))

const handles = (version: TpmVersion): Constants => ({
  kind: 'handles',
  text: (value) => handleText(value, version),
  value: handleNamed,
  words: [],
})

/** TPMA_CC: attributes, among them the command's code and whether it is a vendor's. */
function commandAttributes(): Constants {
  const codes = names(TPM_CC)
  return { ...codes, text: (value) => codes.text(value & 0x2000ffff) }
}

const TABLES: Readonly<Record<string, () => Constants>> = {
  ALG: () => names(TPM_ALG),
  ECC_CURVE: () => names(TPM_ECC_CURVE),
  CC: () => names(TPM_CC),
  CCA: commandAttributes,
  ORD: () => names(TPM_ORD),
  RC: () => ({
    kind: 'codes',
    text: (value) => resultText(value, '2'),
    value: parseResultCode,
    words: [],
  }),
  HANDLE: () => handles('2'),
  HANDLE12: () => handles('1.2'),
  ST: () =>
    names({
      RSP_COMMAND: 0xc4,
      NULL: 0x8000,
      NO_SESSIONS: 0x8001,
      SESSIONS: 0x8002,
      ...from(
        0x8014,
        'ATTEST_NV ATTEST_COMMAND_AUDIT ATTEST_SESSION_AUDIT ATTEST_CERTIFY ATTEST_QUOTE ATTEST_TIME ATTEST_CREATION',
      ),
      ATTEST_NV_DIGEST: 0x801c,
      ...from(0x8021, 'CREATION VERIFIED AUTH_SECRET HASHCHECK AUTH_SIGNED'),
      FU_MANIFEST: 0x8029,
    }),
  SU: () => names(from(0, 'CLEAR STATE')),
  SE: () => names({ HMAC: 0, POLICY: 1, TRIAL: 3 }),
  EO: () =>
    names(
      from(
        0,
        'EQ NEQ SIGNED_GT UNSIGNED_GT SIGNED_LT UNSIGNED_LT SIGNED_GE UNSIGNED_GE SIGNED_LE UNSIGNED_LE BITSET BITCLEAR',
      ),
    ),
  CAP: () =>
    names({
      ...from(
        0,
        'ALGS HANDLES COMMANDS PP_COMMANDS AUDIT_COMMANDS PCRS TPM_PROPERTIES PCR_PROPERTIES ECC_CURVES AUTH_POLICIES ACT PUB_KEYS SPDM_SESSION_INFO',
      ),
      VENDOR_PROPERTY: 0x100,
    }),
  PT: () => names(PROPERTIES),
  PT_PCR: () =>
    names({
      ...from(
        0,
        'SAVE EXTEND_L0 RESET_L0 EXTEND_L1 RESET_L1 EXTEND_L2 RESET_L2 EXTEND_L3 RESET_L3 EXTEND_L4 RESET_L4',
      ),
      ...from(0x11, 'NO_INCREMENT DRTM_RESET POLICY AUTH'),
    }),
  HT: () =>
    names({
      ...from(0, 'PCR NV_INDEX HMAC_SESSION POLICY_SESSION'),
      EXTERNAL_NV: 0x11,
      PERMANENT_NV: 0x12,
      PERMANENT: 0x40,
      TRANSIENT: 0x80,
      PERSISTENT: 0x81,
      AC: 0x90,
    }),
  AT: () => names({ ...from(0, 'ANY ERROR PV1'), VEND: 0x80000000 }),
  CLOCK_ADJUST: () =>
    names(
      from(-3, 'COARSE_SLOWER MEDIUM_SLOWER FINE_SLOWER NO_CHANGE FINE_FASTER MEDIUM_FASTER COARSE_FASTER'),
    ),
  YES_NO: () => ({ ...names({ no: 0, yes: 1, false: 0, true: 1 }), kind: 'yes-no' }),
  GENERATED: () => names({ VALUE: 0xff544347 }),
  ALGORITHM: () => bits(fromBit0('asymmetric symmetric hash object _ _ _ _ signing encrypting method')),
  OBJECT: () => bits(TPMA_OBJECT),
  NV: () => bits(TPMA_NV),
  LOCALITY: () => bits(fromBit0('ZERO ONE TWO THREE FOUR')),
  SESSION: () => bits(fromBit0('continue auditExclusive auditReset _ _ decrypt encrypt audit')),
  ACT: () => bits(fromBit0('signaled preserveSignaled')),

  // TPM 1.2
  STARTUP_TYPE: () => names(from(1, 'CLEAR STATE DEACTIVATED')),
  TAG: () => names({ CERTIFY_INFO2: 0x29 }),
  CAP_AREA: () =>
    names({
      ...from(1, 'ORD ALG PID FLAG PROPERTY VERSION KEY_HANDLE CHECK_LOADED SYM_MODE'),
      ...from(0x0c, 'KEY_STATUS NV_LIST'),
      ...from(0x10, 'MFR NV_INDEX TRANS_ALG'),
      ...from(0x14, 'HANDLE TRANS_ES'),
      AUTH_ENCRYPT: 0x17,
      SELECT_SIZE: 0x18,
      DA_LOGIC: 0x19,
      VERSION_VAL: 0x1a,
      FLAG_PERMANENT: 0x108,
      FLAG_VOLATILE: 0x109,
    }),
  CAP_PROP: () =>
    names({
      ...from(0x101, 'PCR DIR MANUFACTURER KEYS'),
      MIN_COUNTER: 0x107,
      ...from(
        0x10a,
        'AUTHSESS TRANSESS COUNTERS MAX_AUTHSESS MAX_TRANSESS MAX_COUNTERS MAX_KEYS OWNER CONTEXT MAX_CONTEXT FAMILYROWS TIS_TIMEOUT STARTUP_EFFECT DELEGATE_ROW',
      ),
      ...from(
        0x119,
        'DAA_MAX SESSION_DAA CONTEXT_DIST DAA_INTERRUPT SESSIONS MAX_SESSIONS CMK_RESTRICTION DURATION',
      ),
      ...from(0x122, 'ACTIVE_COUNTER MAX_NV_AVAILABLE INPUT_BUFFER'),
    }),
  RT: () => names({ ...from(1, 'KEY AUTH HASH TRANS CONTEXT COUNTER DELEGATE DAA_TPM DAA_V0 DAA_V1') }),
  // Known by their digits.
  HEX: () => names({}),
  ALG12: () => names(from(1, 'RSA DES 3DES SHA HMAC AES128 MGF1 AES192 AES256 XOR')),
  ENC_SCHEME: () => names(from(1, 'NONE RSAES_PKCSv15 RSAES_OAEP SYM_CTR SYM_OFB')),
  SIG_SCHEME: () => names(from(1, 'NONE RSASSA_SHA1 RSASSA_DER RSASSA_INFO')),
  ENTITY: () =>
    names(
      from(1, 'KEYHANDLE OWNER DATA SRK KEY REVOKE DEL_OWNER_BLOB DEL_ROW DEL_KEY_BLOB COUNTER NV OPERATOR'),
    ),
  PROTOCOL: () => names(from(1, 'OIAP OSAP ADIP ADCP OWNER DSAP TRANSPORT')),
  KEY_USAGE: () => names(from(0x10, 'SIGNING STORAGE IDENTITY AUTHCHANGE BIND LEGACY MIGRATE')),
  PHYSICAL_PRESENCE: () =>
    bits({
      HW_DISABLE: 0x200,
      CMD_DISABLE: 0x100,
      LIFETIME_LOCK: 0x80,
      HW_ENABLE: 0x40,
      CMD_ENABLE: 0x20,
      NOTPRESENT: 0x10,
      PRESENT: 8,
      LOCK: 4,
    }),
}

const made = new Map<string, Constants>()

/** @throws Error for a table that is not there: a mistake in the rows */
export function constants(table: string): Constants {
  let found = made.get(table)
  if (found === undefined) {
    const make = TABLES[table]
    if (make === undefined) throw new Error(`No constants "${table}"`)
    found = make()
    made.set(table, found)
  }
  return found
}
