/**
 * Cuts the control channel's byte stream into commands.
 *
 * The protocol has no length field: how long a command is follows from its code, and what one receive brings is one
 * command. Bytes beyond it are an error for verbs without a body and ignored for the others, because QEMU sends the
 * whole union where the request is one byte.
 */
import { MAX_STATE_BLOB_BYTES } from '../../../contract/limits.ts'
import { BIG, u32 } from '../../../contract/struct.ts'
import { VERBS, type Verb, type VerbName, verbByControlCode } from '../../../contract/verbs.ts'

const CODE_SIZE = 4

export type ControlCommand =
  /** More bytes are needed. `bulk`: a long body is on its way. */
  | { readonly kind: 'incomplete'; readonly bulk: boolean; readonly name?: VerbName }
  | { readonly kind: 'unknown'; readonly code: number }
  /** The body does not fit the verb. */
  | { readonly kind: 'malformed'; readonly name: VerbName }
  /** Announces a body longer than any: the connection cannot be understood any further. */
  | { readonly kind: 'oversized'; readonly name: VerbName; readonly length: number }
  | { readonly kind: 'command'; readonly name: VerbName; readonly request: Record<string, unknown> }

/** Reads the command at the start of `bytes`, which are all that has arrived so far. */
export function parseControlCommand(bytes: Buffer): ControlCommand {
  if (bytes.length < CODE_SIZE) return { kind: 'incomplete', bulk: false }
  const code = u32.read(new DataView(bytes.buffer, bytes.byteOffset, CODE_SIZE), 0, BIG)
  const name = verbByControlCode.get(code)
  if (name === undefined) return { kind: 'unknown', code }

  const { req, body: rule }: Verb = VERBS[name]
  const body = bytes.subarray(CODE_SIZE)
  if (body.length < req.fixedSize) return { kind: 'incomplete', bulk: false, name }
  if (rule === 'exact' && body.length > req.size) return { kind: 'malformed', name }

  const request = req.decode(body, BIG) as Record<string, unknown>
  const data = request.data
  if (data instanceof Buffer) {
    const length = request.length as number
    if (length > MAX_STATE_BLOB_BYTES) return { kind: 'oversized', name, length }
    if (data.length < length) return { kind: 'incomplete', bulk: true, name }
    if (data.length > length) return { kind: 'malformed', name }
  }
  return { kind: 'command', name, request }
}
