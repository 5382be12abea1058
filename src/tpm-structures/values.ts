/**
 * Fields as plain values: a number that Part 2 has a word for is the word (`'PCRS'`, `'fixedTPM|decrypt'`), yes and no a boolean, a handle and any
 * other number a number (a bigint of 64 bits), bytes a Buffer, a list an array, a structure an object. A union is what was
 * chosen. A structure or union with nothing in it is left out.
 */
import { contentOf, type FieldNode, isSecret } from './fields.ts'

export function plainFields(bytes: Buffer, fields: readonly FieldNode[]): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const field of fields) {
    const value = plainValue(bytes, field)
    if (value !== undefined) plain[field.name] = value
  }
  return plain
}

/** @returns undefined: there is nothing in it */
export function plainValue(bytes: Buffer, field: FieldNode): unknown {
  const { type, value } = field
  switch (type.kind) {
    case 'number':
      if (type.constants?.kind === 'yes-no' && Number(value) <= 1) return Number(value) === 1
      return wordOf(field) ?? value
    case 'list':
      return field.children.map((child) => plainValue(bytes, child))
    case 'struct':
    case 'sized':
      return field.children.length === 0 ? undefined : plainFields(bytes, field.children)
    case 'fixed':
      return type.length === 0 ? undefined : contentOf(bytes, field)
    default:
      return contentOf(bytes, field)
  }
}

/** The word for a constant or bits. @returns undefined: a number without one, or a handle */
export function wordOf({ type, value }: FieldNode): string | undefined {
  if (type.kind !== 'number' || value === undefined || type.constants?.kind === 'handles') return undefined
  return type.constants?.text(Number(value))
}

/** The same for JSON: bytes as hex digits, handles in words where there are some, secrets by their length. */
export function jsonFields(
  bytes: Buffer,
  fields: readonly FieldNode[],
  secrets: boolean,
): Record<string, unknown> {
  const json: Record<string, unknown> = {}
  for (const field of fields) {
    const value = jsonValue(bytes, field, secrets)
    if (value !== undefined) json[field.name] = value
  }
  return json
}

function jsonValue(bytes: Buffer, field: FieldNode, secrets: boolean): unknown {
  const { type, value, children } = field
  if (type.kind === 'list') return children.map((child) => jsonValue(bytes, child, secrets))
  if (type.kind === 'struct' || type.kind === 'sized')
    return children.length === 0 ? undefined : jsonFields(bytes, children, secrets)
  if (type.kind === 'number' && type.constants?.kind === 'handles')
    return type.constants.text(Number(value)) ?? `0x${Number(value).toString(16).padStart(8, '0')}`
  const plain = plainValue(bytes, field)
  if (typeof plain === 'bigint') return plain.toString()
  if (!Buffer.isBuffer(plain)) return plain
  if (field.enciphered) return `<enciphered, ${plain.length} bytes>`
  return isSecret(field) && !secrets ? `<secret, ${plain.length} bytes>` : plain.toString('hex')
}
