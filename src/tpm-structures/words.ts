/**
 * Fields in words, as `swtpm trace` prints them: `SHA256:11223344…(32)`, `SHA1:0-7,16`, `AES-128-CFB`, `fixedTPM|decrypt`,
 * `<secret, 7 bytes>`.
 */
import { contentOf, type FieldNode, isSecret } from './fields.ts'
import { wordOf } from './values.ts'

export interface WordOptions {
  /** Print the bytes of secrets, too. */
  readonly secrets: boolean
}

/** Longer bytes are shown by their first four. */
const WHOLE_BYTES = 8
/** A longer list is shown by how many there are. */
const WHOLE_LIST = 8
/** These properties are four letters each. */
const LETTERS = /^(FAMILY_INDICATOR|MANUFACTURER|VENDOR_STRING_\d|PS_FAMILY_INDICATOR)$/
/** Structures whose values tell what they are without the names of the fields. */
const NAMELESS =
  /^TPM(T_(PUBLIC|TEMPLATE|TK|SIGNATURE)|S_(RSA|ECC|KEYEDHASH|SYMCIPHER)_PARMS|S_SIGNATURE_\w+|S_SCHEME_\w+|S_ACT_DATA|S_AC_OUTPUT)$/

/** `name words name words …`; what has nothing in it is left out. */
export const fieldsInWords = (bytes: Buffer, fields: readonly FieldNode[], options: WordOptions): string =>
  fields
    .map((field) => [field.name, inWords(bytes, field, options)] as const)
    .filter(([, words]) => words !== '')
    .map(([name, words]) => `${name} ${words}`)
    .join(' ')

/** @returns '' where there is nothing to say: an empty union */
export function inWords(bytes: Buffer, field: FieldNode, options: WordOptions): string {
  const { type } = field
  switch (type.kind) {
    case 'number':
      return numberInWords(field)
    case 'list':
      return field.children.length > WHOLE_LIST
        ? `${field.children.length} entries`
        : `[${field.children.map((child) => inWords(bytes, child, options)).join(', ')}]`
    case 'struct':
      return structInWords(bytes, field, type.name, options)
    case 'sized':
      // What a TPM2B holds hangs on it directly.
      return structInWords(bytes, field, innerName(field), options)
    default:
      return type.kind === 'bytes' && isSelection(type.sizeName)
        ? pcrsInWords(contentOf(bytes, field))
        : bytesInWords(contentOf(bytes, field), field, options)
  }
}

function innerName({ type }: FieldNode): string {
  const inner = type.kind === 'sized' ? type.of() : type
  return inner.kind === 'struct' ? inner.name : ''
}

function numberInWords(field: FieldNode): string {
  const { type, value } = field
  if (type.kind !== 'number' || value === undefined) return ''
  const word = type.constants?.kind === 'handles' ? type.constants.text(Number(value)) : wordOf(field)
  if (word !== undefined) return word
  return type.constants === undefined ? String(value) : `0x${value.toString(16)}`
}

function bytesInWords(content: Buffer, field: FieldNode, { secrets }: WordOptions): string {
  if (field.type.kind === 'fixed' && content.length === 0) return ''
  if (content.length === 0) return '-'
  if (field.enciphered) return `<enciphered, ${content.length} bytes>`
  if (isSecret(field)) return secrets ? content.toString('hex') : `<secret, ${content.length} bytes>`
  if (content.length <= WHOLE_BYTES) return content.toString('hex')
  return `${content.toString('hex', 0, 4)}…(${content.length})`
}

function structInWords(bytes: Buffer, field: FieldNode, name: string, options: WordOptions): string {
  const { children } = field
  if (children.length === 0) return field.type.kind === 'sized' ? '-' : ''
  const words = (): string[] => children.map((child) => inWords(bytes, child, options))
  switch (name) {
    case 'TPMT_HA':
    case 'TPMS_PCR_SELECTION':
      return words().join(':')
    case 'TPMS_TAGGED_PROPERTY':
      return propertyInWords(words(), Number(children[1]?.value ?? 0))
    case 'TPMS_ALG_PROPERTY':
    case 'TPMS_TAGGED_PCR_SELECT':
      return words().join('=')
    case 'TPMT_SYM_DEF':
      return present(words()).join('-')
    case 'TPMT_SIG_SCHEME':
    case 'TPMT_ASYM_SCHEME':
    case 'TPMT_RSA_DECRYPT':
    case 'TPMT_KDF_SCHEME':
    case 'TPMT_KEYEDHASH_SCHEME':
      return present(words()).join('-')
  }
  const inside = NAMELESS.test(name)
    ? present(words())
        .filter((word) => word !== '-' && word !== 'NULL')
        .join(' ')
    : fieldsInWords(bytes, children, options)
  // A scheme with one value needs no braces around it.
  return /^TPMS_(SCHEME_|.*_PARMS$)/.test(name) ? inside : `{${inside}}`
}

const present = (words: readonly string[]): string[] => words.filter((word) => word !== '')

function propertyInWords([name = '', value = '']: readonly string[], number: number): string {
  if (!LETTERS.test(name)) return `${name}=${value}`
  const letters = Buffer.alloc(4)
  letters.writeUInt32BE(number)
  const text = letters.toString('latin1').replace(/\0+$/, '')
  return /^[\x20-\x7e]*$/.test(text) ? `${name}="${text}"` : `${name}=${value}`
}

/** The size field of a PCR selection has a name of its own. */
const isSelection = (sizeName: string): boolean => /^sizeofselect$/i.test(sizeName)

/** The bits of a PCR selection: `0-7,16`, `all`, `none`. */
export function pcrsInWords(selection: Buffer): string {
  const chosen: number[] = []
  for (let pcr = 0; pcr < 8 * selection.length; pcr++)
    if ((selection[pcr >> 3]! & (1 << (pcr & 7))) !== 0) chosen.push(pcr)
  if (chosen.length === 0) return 'none'
  if (chosen.length === 8 * selection.length) return 'all'
  const runs: string[] = []
  for (let first = 0; first < chosen.length; ) {
    let last = first
    while (chosen[last + 1] === chosen[last]! + 1) last++
    runs.push(last === first ? `${chosen[first]}` : `${chosen[first]}-${chosen[last]}`)
    first = last + 1
  }
  return runs.join(',')
}
