/**
 * Response codes in words, and back.
 *
 * A TPM 2.0 has two formats. In format one (bit 7) the code says which parameter (bit 6), session (bit 11) or handle is meant;
 * in format zero it does not. A TPM 1.2 counts from 1, with warnings from 0x800.
 * @see TPM 2.0 Part 2, 6.6 "TPM_RC"; TPM Main Part 2, 16
 */
import type { TpmVersion } from '../../contract/engine-options.ts'
import { lazily } from '../../contract/lazily.ts'

type Table = Readonly<Record<string, number>>

const following = (first: number, names: string): Table =>
  Object.fromEntries(names.split(' ').flatMap((name, at) => (name === '_' ? [] : [[name, first + at]])))

const SUCCESS = 0
const FORMAT_ONE = 0x80
const PARAMETER = 0x40
const SESSION = 0x800

const errors = lazily(
  (): Table => ({
    SUCCESS,
    BAD_TAG: 0x1e,
    ...following(0x100, 'INITIALIZE FAILURE _ SEQUENCE'),
    PRIVATE: 0x10b,
    HMAC: 0x119,
    ...following(0x120, 'DISABLED EXCLUSIVE _ _ AUTH_TYPE AUTH_MISSING POLICY PCR PCR_CHANGED'),
    ...following(0x12d, 'UPGRADE TOO_MANY_CONTEXTS AUTH_UNAVAILABLE REBOOT UNBALANCED'),
    ...following(
      0x142,
      'COMMAND_SIZE COMMAND_CODE AUTHSIZE AUTH_CONTEXT NV_RANGE NV_SIZE NV_LOCKED NV_AUTHORIZATION NV_UNINITIALIZED NV_SPACE NV_DEFINED',
    ),
    ...following(0x150, 'BAD_CONTEXT CPHASH PARENT NEEDS_TEST NO_RESULT SENSITIVE READ_ONLY'),
    ...following(
      0x901,
      'CONTEXT_GAP OBJECT_MEMORY SESSION_MEMORY MEMORY SESSION_HANDLES OBJECT_HANDLES LOCALITY YIELDED CANCELED TESTING',
    ),
    ...following(
      0x910,
      'REFERENCE_H0 REFERENCE_H1 REFERENCE_H2 REFERENCE_H3 REFERENCE_H4 REFERENCE_H5 REFERENCE_H6',
    ),
    ...following(
      0x918,
      'REFERENCE_S0 REFERENCE_S1 REFERENCE_S2 REFERENCE_S3 REFERENCE_S4 REFERENCE_S5 REFERENCE_S6',
    ),
    ...following(0x920, 'NV_RATE LOCKOUT RETRY NV_UNAVAILABLE'),
  }),
)

const aboutOne = lazily(
  (): Table => ({
    ...following(
      0x81,
      'ASYMMETRIC ATTRIBUTES HASH VALUE HIERARCHY _ KEY_SIZE MGF MODE TYPE HANDLE KDF RANGE AUTH_FAIL NONCE PP',
    ),
    ...following(
      0x92,
      'SCHEME _ _ SIZE SYMMETRIC TAG SELECTOR _ INSUFFICIENT SIGNATURE KEY POLICY_FAIL _ INTEGRITY TICKET RESERVED_BITS BAD_AUTH' +
        ' EXPIRED POLICY_CC BINDING CURVE ECC_POINT FW_LIMITED SVN_LIMITED',
    ),
    ...following(0xb0, 'CHANNEL CHANNEL_KEY'),
  }),
)

const tpm12 = lazily(
  (): Table => ({
    ...following(
      0,
      'SUCCESS AUTHFAIL BADINDEX BAD_PARAMETER AUDITFAILURE CLEAR_DISABLED DEACTIVATED DISABLED DISABLED_CMD FAIL BAD_ORDINAL' +
        ' INSTALL_DISABLED INVALID_KEYHANDLE KEYNOTFOUND INAPPROPRIATE_ENC MIGRATEFAIL INVALID_PCR_INFO NOSPACE NOSRK NOTSEALED_BLOB' +
        ' OWNER_SET RESOURCES SHORTRANDOM SIZE WRONGPCRVAL BAD_PARAM_SIZE SHA_THREAD SHA_ERROR FAILEDSELFTEST AUTH2FAIL BADTAG' +
        ' IOERROR ENCRYPT_ERROR DECRYPT_ERROR INVALID_AUTHHANDLE NO_ENDORSEMENT INVALID_KEYUSAGE WRONG_ENTITYTYPE INVALID_POSTINIT' +
        ' INAPPROPRIATE_SIG BAD_KEY_PROPERTY BAD_MIGRATION BAD_SCHEME BAD_DATASIZE BAD_MODE BAD_PRESENCE BAD_VERSION' +
        ' NO_WRAP_TRANSPORT AUDITFAIL_UNSUCCESSFUL AUDITFAIL_SUCCESSFUL NOTRESETABLE NOTLOCAL BAD_TYPE INVALID_RESOURCE NOTFIPS' +
        ' INVALID_FAMILY NO_NV_PERMISSION REQUIRES_SIGN KEY_NOTSUPPORTED AUTH_CONFLICT AREA_LOCKED BAD_LOCALITY READ_ONLY' +
        ' PER_NOWRITE FAMILYCOUNT WRITE_LOCKED BAD_ATTRIBUTES INVALID_STRUCTURE KEY_OWNER_CONTROL BAD_COUNTER NOT_FULLWRITE' +
        ' CONTEXT_GAP MAXNVWRITES NOOPERATOR RESOURCEMISSING DELEGATE_LOCK DELEGATE_FAMILY DELEGATE_ADMIN' +
        ' TRANSPORT_NOTEXCLUSIVE OWNER_CONTROL DAA_RESOURCES DAA_INPUT_DATA0 DAA_INPUT_DATA1 DAA_ISSUER_SETTINGS' +
        ' DAA_TPM_SETTINGS DAA_STAGE DAA_ISSUER_VALIDITY DAA_WRONG_W BAD_HANDLE BAD_DELEGATE BADCONTEXT TOOMANYCONTEXTS' +
        ' MA_TICKET_SIGNATURE MA_DESTINATION MA_SOURCE MA_AUTHORITY _ PERMANENTEK BAD_SIGNATURE NOCONTEXTSPACE',
    ),
    ...following(0x800, 'RETRY NEEDS_SELFTEST DOING_SELFTEST DEFEND_LOCK_RUNNING'),
  }),
)

const namesOf = (table: () => Table): (() => ReadonlyMap<number, string>) =>
  lazily(() => new Map(Object.entries(table()).map(([name, code]) => [code, name])))

const errorNames = namesOf(errors)
const aboutOneNames = namesOf(aboutOne)
const tpm12Names = namesOf(tpm12)

/** What a format-one code is about: the number counts from 1; 0 says none in particular. */
export interface Place {
  readonly of: 'parameter' | 'session' | 'handle'
  readonly number: number
}

/** @returns undefined: the code does not say, or is no TPM 2.0 code of format one */
export function placeOf(code: number): Place | undefined {
  if ((code & FORMAT_ONE) === 0 || code > 0xfff) return undefined
  const place: Place =
    (code & PARAMETER) !== 0
      ? { of: 'parameter', number: (code >> 8) & 0xf }
      : { of: (code & SESSION) !== 0 ? 'session' : 'handle', number: (code >> 8) & 7 }
  return place.number === 0 ? undefined : place
}

/** The name alone: `HANDLE` for 0x18b. @returns undefined: the specification has none */
export function resultName(code: number, version: TpmVersion): string | undefined {
  if (version === '1.2') return tpm12Names().get(code)
  if (code > 0xfff) return undefined
  return (code & FORMAT_ONE) === 0 ? errorNames().get(code) : aboutOneNames().get(code & 0xbf)
}

/**
 * A result as a person reads it, behind the number that scripts compare: `0x3d (TPM_BAD_LOCALITY)`, `0x101 (TPM_RC_FAILURE)`.
 */
export function namedResult(number: string, version: TpmVersion): string {
  const code = Number(number)
  const name = resultName(code, version)
  return name === undefined ? number : `${number} (${version === '2' ? 'TPM_RC_' : 'TPM_'}${name})`
}

/** The same for the result of a verb: one of TPM 1.2's, whatever the TPM, or one of TPM 2.0's that libtpms passes on. */
export const namedVerbResult = (code: number): string =>
  namedResult(`0x${code.toString(16)}`, resultName(code, '1.2') === undefined ? '2' : '1.2')

/** What the command calls its handles and parameters: the code then says which one by name. */
export interface Naming {
  readonly handles: readonly { readonly name: string }[]
  readonly parameters: readonly { readonly name: string }[]
}

/** A response code in words: `SUCCESS`, `RETRY`, `HANDLE at handle 1 (objectHandle)`, `0x12345`. */
export function resultText(code: number, version: TpmVersion, command?: Naming): string {
  const name = resultName(code, version)
  const number = `0x${code.toString(16)}`
  if (name === undefined) return number
  const place = version === '2' ? placeOf(code) : undefined
  if (place === undefined) return name
  const { of, number: at } = place
  const list = of === 'parameter' ? command?.parameters : of === 'handle' ? command?.handles : undefined
  const called = list?.[at - 1]?.name
  return `${name} at ${of} ${at}${called === undefined ? '' : ` (${called})`}`
}

/** The response codes of TPM 2.0 by name, without the place that format one has. */
export const resultCodes = (): Readonly<Record<string, number>> => ({ ...aboutOne(), ...errors() })

/** All names that {@link parseResultCode} knows, for "did you mean". */
export const resultNames = (): string[] => [...new Set([errors(), aboutOne(), tpm12()].flatMap(Object.keys))]

const byName = (table: Table, word: string): number | undefined => {
  const name = word.toUpperCase()
  return Object.hasOwn(table, name) ? table[name] : undefined
}

/**
 * The code that a rule means: `RETRY`, `TPM_RC_HASH@p1`, `VALUE@s2`, `HANDLE@h1`, `0x18b`.
 * @param word the name in any case; a name that both versions have is 2.0's, unless `version` says 1.2
 * @returns undefined: there is no such name, or no place is possible with it
 */
export function parseResultCode(word: string, version?: TpmVersion): number | undefined {
  if (/^0x[0-9a-f]{1,8}$/i.test(word)) return Number(word)
  const [, name, kind, digits] = /^(?:TPM_(?:RC_)?)?(\w+?)(?:@([pshPSH])(\d{1,2}))?$/i.exec(word) ?? []
  if (name === undefined) return undefined
  const inFormatOne = byName(aboutOne(), name)
  if (kind !== undefined) {
    const place = placeBits(kind.toLowerCase(), Number(digits))
    return inFormatOne === undefined || place === undefined ? undefined : inFormatOne | place
  }
  const inTpm12 = byName(tpm12(), name)
  return version === '1.2' ? inTpm12 : (byName(errors(), name) ?? inFormatOne ?? inTpm12)
}

function placeBits(kind: string, number: number): number | undefined {
  const highest = kind === 'p' ? 15 : 7
  if (number < 1 || number > highest) return undefined
  const bits = kind === 'p' ? PARAMETER : kind === 's' ? SESSION : 0
  return bits | (number << 8)
}
