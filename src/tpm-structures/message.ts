/**
 * What commands and responses have in common: the header, handles, sessions, parameters, and a tree with the place of each
 * field. Header, handles and sessions are read at once, parameters when they are first asked for.
 */
import type { TpmVersion } from '../../contract/engine-options.ts'
import type { CommandRow, HandleRow } from './commands.ts'
import { FieldReader } from './field-reader.ts'
import { type FieldNode, groupField, rootField } from './fields.ts'
import { type Field, readFields } from './schema.ts'
import { plainFields } from './values.ts'

/** Tag, size, code. */
export const HEADER_BYTES = 10

/** Nothing longer passes through a TPM device or socket; what follows is not looked at. */
export const MAX_MESSAGE_BYTES = 0x10000

export interface NamedHandle {
  readonly name: string
  readonly value: number
}

export type SessionKind = 'pw' | 'hmac' | 'policy'

export interface DecodedSession {
  /** Of a response of TPM 2.0: that of the command's session in this place. */
  readonly handle: number
  readonly kind: SessionKind
  /** TPMA_SESSION; of TPM 1.2 only continueSession. */
  readonly attributes: number
  readonly nonce: Buffer
  /** Of a password session this is the password. */
  readonly hmac: Buffer
}

/** What a command that the tables do not have carries: there may be a password in it. */
const UNKNOWN_PARAMETERS = readFields('parameters:SECRET_REST')
const HEADER = readFields('tag:u16 size:u32 code:u32')

export abstract class DecodedMessage {
  readonly bytes: Buffer
  readonly tag: number
  /** As the header has it. */
  readonly size: number
  readonly code: number
  /** All fields with their places. Parameters are in it once {@link complete} has been called. */
  protected readonly root: FieldNode
  protected readonly reader: FieldReader
  #parametersRead = false

  protected constructor(bytes: Buffer) {
    this.bytes = bytes
    const end = Math.min(bytes.length, MAX_MESSAGE_BYTES)
    this.root = rootField(end)
    this.reader = new FieldReader(bytes, 0, end)
    const header = this.group('header', HEADER)
    const number = (name: string): number =>
      Number(header.children.find((child) => child.name === name)?.value ?? 0)
    this.tag = number('tag')
    this.size = number('size')
    this.code = number('code')
    if (header.length === HEADER_BYTES && this.size !== bytes.length)
      this.reader.note(`the header says ${this.size} bytes, ${bytes.length} are there`)
    if (bytes.length > end) this.reader.note(`longer than ${MAX_MESSAGE_BYTES} bytes`)
  }

  abstract readonly version: TpmVersion
  protected abstract readParameters(): void

  /** Whether there is a whole header. */
  get hasHeader(): boolean {
    return this.bytes.length >= HEADER_BYTES
  }

  /** The tree of all fields. */
  get fields(): FieldNode {
    this.complete()
    return this.root
  }

  /** Reads the parameters, too, if that has not been done. */
  protected complete(): void {
    if (this.#parametersRead) return
    this.#parametersRead = true
    this.readParameters()
  }

  /** The parameters by the names of Part 3: see values.ts for what becomes of which type. */
  get parameters(): Readonly<Record<string, unknown>> {
    return plainFields(this.bytes, this.parameterFields)
  }

  /** The parameters among the fields. */
  abstract get parameterFields(): readonly FieldNode[]

  /** The first thing in the bytes that is not as the tables have it. */
  get problem(): string | undefined {
    this.complete()
    return this.reader.problem
  }

  /** A number directly below the root; 0 where it is cut off. */
  protected rootNumber(name: string): number {
    return Number(this.root.children.find((field) => field.name === name)?.value ?? 0)
  }

  protected handlesOf(rows: readonly HandleRow[]): NamedHandle[] {
    const first = this.root.children.length
    this.reader.fields(
      rows.map(({ name }) => readFields(`${name}:${this.version === '2' ? 'TPM_HANDLE' : 'HANDLE'}`)[0]!),
      this.root,
    )
    return this.root.children.slice(first).map(({ name, value }) => ({ name, value: Number(value) }))
  }

  /** Reads the parameters up to the end of what is there. */
  protected parametersOf(
    row: CommandRow | undefined,
    fields: readonly Field[],
    enciphersFirst = false,
  ): FieldNode[] {
    const first = this.root.children.length
    const known = row === undefined ? UNKNOWN_PARAMETERS : fields
    const fitted =
      row === undefined && this.reader.left === 0
        ? true
        : this.reader.fields(known, this.root, enciphersFirst)
    if (fitted && this.reader.left > 0) this.reader.note(`${this.reader.left} bytes too many`)
    return this.root.children.slice(first)
  }

  /** A group of fields below the root, read from here on. */
  protected group(name: string, fields: readonly Field[], reader = this.reader): FieldNode {
    const node = groupField(name, reader.at, this.root)
    reader.fields(fields, node)
    node.length = reader.at - node.offset
    return node
  }

  /** A group of fields that is somewhere else in the message. */
  protected groupAt(name: string, offset: number, fields: readonly Field[]): FieldNode {
    return this.group(name, fields, new FieldReader(this.bytes, offset, this.bytes.length))
  }
}
