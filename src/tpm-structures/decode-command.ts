/** Commands decoded. @see TPM 2.0 Part 1, 18; TPM Main Part 3, 5 */
import type { TpmVersion } from '../../contract/engine-options.ts'
import {
  TPM_HANDLES,
  TPM_ST_NO_SESSIONS,
  TPM_ST_SESSIONS,
  TPM_TAG_RQU_AUTH1_COMMAND,
  TPM_TAG_RQU_AUTH2_COMMAND,
  TPM_TAG_RQU_COMMAND,
} from './codes.ts'
import { TPM_CC } from './command-codes.ts'
import { type CommandRow, commandByCode } from './commands.ts'
import { contentOf, type FieldNode } from './fields.ts'
import {
  DecodedMessage,
  type DecodedSession,
  HEADER_BYTES,
  type NamedHandle,
  type SessionKind,
} from './message.ts'
import { readFields } from './schema.ts'

const POLICY_SESSION = 0x03
const DECRYPT = 0x20
const MAX_SESSIONS = 3
const SESSION_FIELDS = 'handle:TPM_HANDLE nonce:TPM2B_NONCE attributes:TPMA_SESSION'
const AUTH1_FIELDS = 'handle:HANDLE nonceOdd:NONCE continueAuthSession:BOOL hmac:DIGEST'
const AUTH1_BYTES = 45
/** How many sessions the tag of a TPM 1.2 command says. */
const TPM12_SESSIONS = new Map([
  [TPM_TAG_RQU_COMMAND, 0],
  [TPM_TAG_RQU_AUTH1_COMMAND, 1],
  [TPM_TAG_RQU_AUTH2_COMMAND, 2],
])

export class DecodedCommand extends DecodedMessage {
  readonly version: TpmVersion
  /** `PCR_Extend`; `0x20001234` where the tables have no such code; `?` without a whole header. */
  readonly name: string
  /** What the tables say of it. */
  readonly row: CommandRow | undefined
  readonly handles: readonly NamedHandle[]
  readonly sessions: readonly DecodedSession[]
  #parameters: readonly FieldNode[] = []
  /** Where the sessions of TPM 1.2 begin. */
  readonly #parametersEnd: number

  /** See {@link decodeCommand}. */
  constructor(bytes: Buffer) {
    super(bytes)
    const sessions12 = TPM12_SESSIONS.get(this.tag)
    this.version = sessions12 === undefined ? '2' : '1.2'
    this.row = this.hasHeader ? commandByCode(this.version, this.code) : undefined
    this.name = this.row?.name ?? (this.hasHeader ? `0x${this.code.toString(16).padStart(8, '0')}` : '?')
    if (this.hasHeader) {
      if (this.version === '2' && this.tag !== TPM_ST_SESSIONS && this.tag !== TPM_ST_NO_SESSIONS)
        this.reader.note(`no command has the tag 0x${this.tag.toString(16).padStart(4, '0')}`)
      if (this.row === undefined) this.reader.note(`no TPM ${this.version} command has the code ${this.name}`)
    }
    this.handles = this.hasHeader ? this.handlesOf(this.row?.handles ?? []) : []
    this.#parametersEnd = this.bytes.length - (sessions12 ?? 0) * AUTH1_BYTES
    // Linux gives SetLocality the tag, and no authorizations.
    this.sessions =
      sessions12 === undefined
        ? this.tag === TPM_ST_SESSIONS && this.row !== undefined && this.code !== TPM_CC.SetLocality
          ? this.#sessions()
          : []
        : this.#sessions12(sessions12)
  }

  get parameterFields(): readonly FieldNode[] {
    this.complete()
    return this.#parameters
  }

  protected readParameters(): void {
    if (!this.hasHeader) return
    const enciphered = this.sessions.some(({ attributes }) => (attributes & DECRYPT) !== 0)
    const read = () => {
      this.#parameters = this.parametersOf(
        this.row,
        this.row?.parameters ?? [],
        this.version === '2' && enciphered,
      )
    }
    this.reader.within(Math.max(0, this.#parametersEnd - this.reader.at), read)
  }

  #sessions(): DecodedSession[] {
    this.reader.fields(readFields('authorizationSize:u32'), this.root)
    const size = this.rootNumber('authorizationSize')
    const sessions: DecodedSession[] = []
    if (size > this.reader.left)
      this.reader.note(`the authorizations are cut: ${size} bytes by their size, ${this.reader.left} there`)
    this.reader.within(size, () => {
      while (this.reader.left > 0 && sessions.length < MAX_SESSIONS) {
        const node = this.group(`sessions[${sessions.length}]`, readFields(SESSION_FIELDS))
        if (node.children.length < 3) return
        const kind = kindOf(Number(node.children[0]?.value))
        if (!this.reader.fields(readFields(kind === 'pw' ? 'hmac:TPM2B_AUTH' : 'hmac:TPM2B_DIGEST'), node))
          return
        node.length = this.reader.at - node.offset
        sessions.push(this.#session(node, kind))
      }
      if (this.reader.left > 0) this.reader.note(`${this.reader.left} bytes too many in the authorizations`)
    })
    return sessions
  }

  #sessions12(count: number): DecodedSession[] {
    if (this.#parametersEnd < HEADER_BYTES) {
      this.reader.note('the authorizations are cut off')
      return []
    }
    return Array.from({ length: count }, (_, index) => {
      const node = this.groupAt(
        `sessions[${index}]`,
        this.#parametersEnd + index * AUTH1_BYTES,
        readFields(AUTH1_FIELDS),
      )
      return this.#session(node, 'hmac')
    })
  }

  #session(node: FieldNode, kind: SessionKind): DecodedSession {
    const [handle, nonce, attributes, hmac] = node.children
    return {
      handle: Number(handle?.value ?? 0),
      kind,
      nonce: contentOf(this.bytes, nonce!),
      attributes: Number(attributes?.value ?? 0),
      hmac: contentOf(this.bytes, hmac!),
    }
  }
}

function kindOf(handle: number): SessionKind {
  if (handle === TPM_HANDLES.PW) return 'pw'
  return handle >>> 24 === POLICY_SESSION ? 'policy' : 'hmac'
}

/**
 * Decodes a command. Never throws, whatever the bytes are: what does not fit is said by `problem`. The version is told by the
 * tag (0x00c1 to 0x00c3: TPM 1.2).
 */
export const decodeCommand = (bytes: Uint8Array): DecodedCommand =>
  new DecodedCommand(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
