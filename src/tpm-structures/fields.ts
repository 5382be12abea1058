/** A command or response as a tree of fields, each with its place in the bytes. */
import type { Type } from './schema.ts'

export interface FieldNode {
  /** The field's name; that of an element is its index in brackets, like `[0]`. */
  readonly name: string
  readonly type: Type
  /** Where it begins in the message, with its own size or count. */
  readonly offset: number
  /** With its own size or count. */
  length: number
  /** Of a number. */
  readonly value: number | bigint | undefined
  readonly children: FieldNode[]
  readonly parent: FieldNode | undefined
  /** A session enciphers it: what is in it cannot be told. */
  readonly enciphered: boolean
}

const ROOT: Type = { kind: 'struct', name: '', fields: [] }

/** The node that the fields of a message hang on. */
export const rootField = (length: number): FieldNode => newField('', ROOT, 0, length, undefined)

/** A node for fields that belong together. */
export const groupField = (name: string, offset: number, parent: FieldNode): FieldNode =>
  newField(name, ROOT, offset, 0, parent)

/** Hangs a new field on its parent. */
export function newField(
  name: string,
  type: Type,
  offset: number,
  length: number,
  parent: FieldNode | undefined,
  value?: number | bigint,
  enciphered = false,
): FieldNode {
  const field = { name, type, offset, length, value, children: [], parent, enciphered }
  parent?.children.push(field)
  return field
}

/** How many bytes of a field are its size or count. */
export const sizeBytes = ({ type }: FieldNode): number =>
  type.kind === 'bytes' || type.kind === 'sized' || type.kind === 'list' ? type.width : 0

/** The path by which a field is called in messages, like `digests[0].digest`. */
export function pathOf(field: FieldNode): string {
  const above = field.parent === undefined ? '' : pathOf(field.parent)
  return above === '' || field.name.startsWith('[') ? above + field.name : `${above}.${field.name}`
}

/** What a field holds, without its size or count. */
export const contentOf = (bytes: Buffer, field: FieldNode): Buffer =>
  bytes.subarray(field.offset + sizeBytes(field), field.offset + field.length)

/** Whether it is shown by its length only. */
export const isSecret = ({ type }: FieldNode): boolean =>
  (type.kind === 'bytes' || type.kind === 'fixed') && type.secret
