/** A verb of the PTM interface as a section of swtpm_ioctls(3): its numbers and its C structure, from the verb table. */
import { STATE_BLOBS } from '../../contract/state-blobs.ts'
import type { Struct } from '../../contract/struct.ts'
import * as structs from '../../contract/verb-structures.ts'
import { controlCode, ioctlNumber, VERBS, type Verb, type VerbName } from '../../contract/verbs.ts'
import { bold, literal } from './roff.ts'

// biome-ignore lint/suspicious/noExplicitAny: any structure, whatever its fields
type AnyStruct = Struct<any>

/** The C type of a verb's argument. A verb that is missing here is a type error. */
const C_TYPES: { readonly [V in VerbName]: string } = {
  GET_CAPABILITY: 'ptm_cap',
  INIT: 'ptm_init',
  SHUTDOWN: 'ptm_res',
  GET_TPMESTABLISHED: 'ptm_est',
  SET_LOCALITY: 'ptm_loc',
  HASH_START: 'ptm_res',
  HASH_DATA: 'ptm_hdata',
  HASH_END: 'ptm_res',
  CANCEL_TPM_CMD: 'ptm_res',
  STORE_VOLATILE: 'ptm_res',
  RESET_TPMESTABLISHED: 'ptm_reset_est',
  GET_STATEBLOB: 'ptm_getstate',
  SET_STATEBLOB: 'ptm_setstate',
  STOP: 'ptm_res',
  GET_CONFIG: 'ptm_getconfig',
  SET_DATAFD: 'ptm_res',
  SET_BUFFERSIZE: 'ptm_setbuffersize',
  GET_INFO: 'ptm_getinfo',
  LOCK_STORAGE: 'ptm_lockstorage',
}

/** Fields whose C name is not ours in lower case with underscores. */
const C_FIELDS: Readonly<Record<string, string>> = {
  totLength: 'totlength',
  bufferSize: 'buffersize',
  minSize: 'minsize',
  maxSize: 'maxsize',
}

const WHEN = {
  any: 'at any time',
  running: 'only while the TPM runs, else TPM_BAD_ORDINAL',
  stopped: 'only while the TPM is stopped, else TPM_BAD_ORDINAL',
} as const

const hex = (value: number, digits = 1): string => `0x${value.toString(16).padStart(digits, '0')}`

export function verbEntry(name: VerbName): string[] {
  const verb: Verb = VERBS[name]
  const control = `CMD_${name}`
  const heading = verb.only === 'control' ? control : `PTM_${name} / ${control}`
  const rows: [string, string][] = [
    ['Control code:', hex(controlCode(name))],
    ['Capability bit:', hex(verb.cap)],
    ['Allowed:', WHEN[verb.when]],
  ]
  if (verb.only !== 'control') rows.unshift(['ioctl number:', hex(ioctlNumber(name), 8)])
  return [
    `.SS ${literal(heading)}`,
    '.nf',
    ...rows.map(([label, value]) => `${literal(label.padEnd(16))}${literal(value)}`),
    '.fi',
    ...structure(name, verb),
  ]
}

function structure(name: VerbName, { req, resp, controlResp }: Verb): string[] {
  const type = C_TYPES[name]
  if (type === 'ptm_res') {
    return ['.PP', `Argument: ${bold('ptm_res')}, the result and nothing else.`]
  }
  if (controlResp !== undefined) {
    return [...code([`typedef uint64_t ${type};`]), ...code(union(`${type}_n`, undefined, controlResp))]
  }
  return code(union(type, req, resp))
}

function union(type: string, req: AnyStruct | undefined, resp: AnyStruct): string[] {
  return [
    `struct ${type} {`,
    '    union {',
    ...(req !== undefined && req.size > 0 ? part('req', req) : []),
    ...part('resp', resp),
    '    } u;',
    '};',
  ]
}

function part(name: string, { fields }: AnyStruct): string[] {
  const declared = fields.map((field) => {
    const cName =
      C_FIELDS[field.name] ?? field.name.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`)
    if (field.bytes) return `uint8_t ${cName}[${field.size}];`
    return `${cName === 'tpm_result' ? 'ptm_res' : `uint${field.size * 8}_t`} ${cName};`
  })
  return ['        struct {', ...declared.map((each) => `            ${each}`), `        } ${name};`]
}

const code = (lines: readonly string[]): string[] => ['.PP', '.nf', ...lines.map(literal), '.fi']

const blobTypes = Object.fromEntries(
  Object.entries(STATE_BLOBS).map(([name, { type }]) => [`PTM_BLOB_TYPE_${name.toUpperCase()}`, type]),
)

/** The constants whose names begin with `prefix`, with their values. */
export function constants(prefix: string): string[] {
  const rows = Object.entries({ ...structs, ...blobTypes }).flatMap(([name, value]) =>
    name.startsWith(prefix) && typeof value === 'number' ? [[name, value] as const] : [],
  )
  if (rows.length === 0) throw new Error(`no constant of the contract begins with "${prefix}"`)
  return rows.flatMap(([name, value]) => ['.TP', `${bold(name)} (${value})`])
}
