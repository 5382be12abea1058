/** Responses decoded. @see TPM 2.0 Part 1, 18; TPM Main Part 3, 5 */
import type { TpmVersion } from '../../contract/engine-options.ts'
import {
  TPM_ST_NO_SESSIONS,
  TPM_ST_SESSIONS,
  TPM_TAG_RSP_AUTH1_COMMAND,
  TPM_TAG_RSP_AUTH2_COMMAND,
  TPM_TAG_RSP_COMMAND,
} from './codes.ts'
import type { DecodedCommand } from './decode-command.ts'
import { contentOf, type FieldNode } from './fields.ts'
import { DecodedMessage, type DecodedSession, HEADER_BYTES, type NamedHandle } from './message.ts'
import { resultText } from './result-codes.ts'
import { readFields } from './schema.ts'

const ENCRYPT = 0x40
const SESSION_FIELDS = 'nonce:TPM2B_NONCE attributes:TPMA_SESSION hmac:TPM2B_DIGEST'
const AUTH1_FIELDS = 'nonceEven:NONCE continueAuthSession:BOOL hmac:DIGEST'
const AUTH1_BYTES = 41
const TPM12_SESSIONS = new Map([
  [TPM_TAG_RSP_COMMAND, 0],
  [TPM_TAG_RSP_AUTH1_COMMAND, 1],
  [TPM_TAG_RSP_AUTH2_COMMAND, 2],
])

export class DecodedResponse extends DecodedMessage {
  readonly version: TpmVersion
  readonly command: DecodedCommand
  readonly handles: readonly NamedHandle[]
  #sessions: readonly DecodedSession[] = []
  #parameters: readonly FieldNode[] = []

  /** See {@link decodeResponse}. */
  constructor(bytes: Buffer, command: DecodedCommand) {
    super(bytes)
    this.command = command
    this.version = command.version
    if (this.hasHeader) this.#checkTag()
    this.handles =
      this.#hasBody && command.row !== undefined ? this.handlesOf(command.row.responseHandles) : []
  }

  /** The response code in words: `SUCCESS`, `HANDLE at handle 1 (objectHandle)`. */
  get text(): string {
    if (!this.hasHeader) return 'cut off'
    return resultText(this.code, this.version, this.command.row)
  }

  get sessions(): readonly DecodedSession[] {
    this.complete()
    return this.#sessions
  }

  get parameterFields(): readonly FieldNode[] {
    this.complete()
    return this.#parameters
  }

  get #hasBody(): boolean {
    return this.hasHeader && this.code === 0
  }

  #checkTag(): void {
    const known =
      this.version === '2'
        ? [TPM_ST_NO_SESSIONS, TPM_ST_SESSIONS, TPM_TAG_RSP_COMMAND].includes(this.tag)
        : TPM12_SESSIONS.has(this.tag)
    if (!known)
      this.reader.note(
        `no response of TPM ${this.version} has the tag 0x${this.tag.toString(16).padStart(4, '0')}`,
      )
  }

  protected readParameters(): void {
    if (!this.hasHeader) return
    if (!this.#hasBody) {
      if (this.version === '2' && this.reader.left > 0) this.reader.note(`${this.reader.left} bytes too many`)
      return
    }
    if (this.version === '1.2') this.#body12()
    else this.#body()
  }

  #body(): void {
    const withSessions = this.tag === TPM_ST_SESSIONS && this.command.sessions.length > 0
    if (!withSessions) {
      this.#readParameters()
      return
    }
    this.reader.fields(readFields('parameterSize:u32'), this.root)
    const size = this.rootNumber('parameterSize')
    if (size > this.reader.left)
      this.reader.note(`the parameters are cut: ${size} bytes by their size, ${this.reader.left} there`)
    this.reader.within(size, () => this.#readParameters())
    const sessions: DecodedSession[] = []
    while (this.reader.left > 0 && sessions.length < this.command.sessions.length) {
      const node = this.group(`sessions[${sessions.length}]`, readFields(SESSION_FIELDS))
      if (node.children.length < 3) break
      const [nonce, attributes, hmac] = node.children
      const { handle, kind } = this.command.sessions[sessions.length]!
      sessions.push({
        handle,
        kind,
        nonce: contentOf(this.bytes, nonce!),
        attributes: Number(attributes!.value),
        hmac: contentOf(this.bytes, hmac!),
      })
    }
    this.#sessions = sessions
    if (this.reader.left > 0) this.reader.note(`${this.reader.left} bytes too many`)
    else if (sessions.length < this.command.sessions.length) this.reader.note('authorizations are missing')
  }

  #body12(): void {
    const count = TPM12_SESSIONS.get(this.tag) ?? 0
    const end = this.bytes.length - count * AUTH1_BYTES
    if (end < HEADER_BYTES) {
      this.reader.note('the authorizations are cut off')
      return
    }
    this.reader.within(Math.max(0, end - this.reader.at), () => this.#readParameters())
    this.#sessions = Array.from({ length: count }, (_, index) => {
      const node = this.groupAt(`sessions[${index}]`, end + index * AUTH1_BYTES, readFields(AUTH1_FIELDS))
      const [nonce, attributes, hmac] = node.children
      return {
        handle: this.command.sessions[index]?.handle ?? 0,
        kind: 'hmac',
        nonce: contentOf(this.bytes, nonce!),
        attributes: Number(attributes!.value),
        hmac: contentOf(this.bytes, hmac!),
      }
    })
  }

  #readParameters(): void {
    const { row, sessions, version } = this.command
    const enciphered = version === '2' && sessions.some(({ attributes }) => (attributes & ENCRYPT) !== 0)
    this.#parameters = this.parametersOf(row, row?.responseParameters ?? [], enciphered)
  }
}

/** Decodes the response to `command`. Never throws: what does not fit is said by `problem`. */
export const decodeResponse = (bytes: Uint8Array, command: DecodedCommand): DecodedResponse =>
  new DecodedResponse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), command)
