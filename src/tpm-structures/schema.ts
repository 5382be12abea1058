/** The rows of structures and commands, read into types when they are first used. */
import { type Constants, constants } from './constants.ts'
import { STRUCTURES } from './structures.ts'
import { TPM12_STRUCTURES } from './tpm12-structures.ts'

/** How wide a number is, in bytes. */
export type Width = 1 | 2 | 4 | 8

export type Type =
  | {
      readonly kind: 'number'
      readonly width: Width
      readonly signed: boolean
      readonly constants: Constants | undefined
    }
  /** `width` 0: no size field, all that is left. */
  | {
      readonly kind: 'bytes'
      readonly width: Width | 0
      readonly sizeName: string
      readonly secret: boolean
    }
  | { readonly kind: 'fixed'; readonly length: number; readonly secret: boolean }
  | { readonly kind: 'digest' }
  | { readonly kind: 'sized'; readonly width: Width; readonly of: () => Type }
  | { readonly kind: 'list'; readonly width: Width; readonly of: () => Type }
  | { readonly kind: 'union'; readonly choices: ReadonlyMap<string, () => Type> }
  /** `name` is that of the row, like `TPMT_HA`. */
  | { readonly kind: 'struct'; readonly name: string; readonly fields: readonly Field[] }

export interface Field {
  readonly name: string
  readonly type: Type
  /** The field before that says which of a union this is, or how long a digest. */
  readonly selector: string | undefined
}

const WIDTHS: Readonly<Record<string, Width>> = { u8: 1, i8: 1, u16: 2, u32: 4, i32: 4, u64: 8 }

const known = new Map<string, Type>()

/** @throws Error for a name that no row has: a mistake in the tables */
export function typeNamed(name: string): Type {
  let type = known.get(name)
  if (type === undefined) {
    type = readRow(name, WIDTHS[name] === undefined ? rowNamed(name) : name)
    known.set(name, type)
  }
  return type
}

function rowNamed(name: string): string {
  const row = STRUCTURES[name] ?? TPM12_STRUCTURES[name]
  if (row === undefined) throw new Error(`No row for the type "${name}"`)
  return row
}

function readRow(name: string, row: string): Type {
  const [kind = '', ...words] = row.split(' ')
  const width = WIDTHS[kind]
  if (width !== undefined) {
    const [table] = words
    return {
      kind: 'number',
      width,
      signed: kind.startsWith('i'),
      constants: table === undefined ? undefined : constants(table),
    }
  }
  const [first = '', second] = words
  switch (kind) {
    case 'bytes':
    case 'secret':
      return {
        kind: 'bytes',
        width: WIDTHS[first]!,
        sizeName: second ?? 'size',
        secret: kind === 'secret',
      }
    case 'rest':
    case 'restsecret':
      return { kind: 'bytes', width: 0, sizeName: 'size', secret: kind === 'restsecret' }
    case 'fixed':
    case 'fixedsecret':
      return { kind: 'fixed', length: Number(first), secret: kind === 'fixedsecret' }
    case 'digest':
      return { kind: 'digest' }
    case 'sized':
    case 'list':
      return { kind, width: WIDTHS[first]!, of: () => typeNamed(second!) }
    case 'union':
      return {
        kind: 'union',
        choices: new Map(
          words.map((word) => word.split(':') as [string, string]).map(([n, t]) => [n, () => typeNamed(t)]),
        ),
      }
    default:
      return { kind: 'struct', name, fields: readFields(row) }
  }
}

const knownFields = new Map<string, readonly Field[]>()

/** `name:TYPE name:TYPE(selector)`. Only for texts of this room, which are few: they are kept. */
export function readFields(text: string): readonly Field[] {
  let fields = knownFields.get(text)
  if (fields === undefined) {
    fields = text
      .split(' ')
      .filter((word) => word !== '')
      .map(readField)
    knownFields.set(text, fields)
  }
  return fields
}

function readField(word: string): Field {
  const [, name, type, selector] = /^(\w+):(\w+)(?:\((\w+)\))?$/.exec(word)!
  return { name: name!, type: typeNamed(type!), selector }
}
