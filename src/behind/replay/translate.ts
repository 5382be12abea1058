/** A recorded command as another TPM has to be asked it. */
import { TPM_HANDLES } from '../../tpm-structures/codes.ts'
import { TPM_CC } from '../../tpm-structures/command-codes.ts'
import { type DecodedCommand, decodeCommand } from '../../tpm-structures/decode-command.ts'
import { contentOf, type FieldNode, pathOf } from '../../tpm-structures/fields.ts'
import { setField } from '../../tpm-structures/locate.ts'
import { commandHmac, enciphersCommand } from './authorization.ts'
import { handleBytes, isNamedByHandle, type Known } from './known.ts'

/** A command is not sent, for this reason. */
export class Skipped extends Error {}

/** Asks the other TPM for the name of an object or NV index; undefined: it has none. */
export type AskName = (handle: number) => Promise<Buffer | undefined>

export interface Translated {
  readonly bytes: Buffer
  /** Of this handle the authorization value is not known; an empty one was taken, as it is where nobody has set one. */
  readonly guessedFor: number | undefined
}

/** @param succeeded in the recording: else it may name what is not there @throws Skipped */
export async function translate(
  recorded: DecodedCommand,
  succeeded: boolean,
  known: Known,
  askName: AskName,
): Promise<Translated> {
  // What is no command has nothing that could be another's.
  if (recorded.problem !== undefined) return { bytes: recorded.bytes, guessedFor: undefined }
  if (recorded.version === '1.2' && recorded.sessions.length > 0)
    throw new Skipped('it is authorized by an HMAC of TPM 1.2')
  if (enciphersCommand(recorded)) throw new Skipped('its parameter is enciphered')
  let command = withHandles(recorded, succeeded, known)
  if (recorded.code === TPM_CC.StartAuthSession) command = withoutKey(command)
  command = withValues(command, known)
  return authorized(recorded, command, known, askName)
}

function withHandles(recorded: DecodedCommand, succeeded: boolean, known: Known): DecodedCommand {
  const bytes = Buffer.from(recorded.bytes)
  const replace = (field: FieldNode): void => {
    if (field.type.kind === 'number' && field.type.constants?.kind === 'handles') {
      const handle = known.handle(Number(field.value))
      if (handle !== undefined) bytes.writeUInt32BE(handle, field.offset)
      else if (succeeded) throw new Skipped(known.whyMissing(Number(field.value)))
    }
    // What is in a context goes with it.
    if (field.name !== 'context') for (const child of field.children) replace(child)
  }
  replace(recorded.fields)
  return decodeCommand(bytes)
}

/** A salt is for a key of the recorded TPM. A session without gives other HMACs, and does the same. */
function withoutKey(command: DecodedCommand): DecodedCommand {
  let changed = command
  for (const handle of ['tpmKey', 'bind'])
    changed = decodeCommand(setField(changed, handle, TPM_HANDLES.NULL))
  return decodeCommand(setField(changed, 'encryptedSalt', Buffer.alloc(0)))
}

/** What the recorded TPM has given out, such as a private area, is given back as the other TPM has given it out. */
function withValues(command: DecodedCommand, known: Known): DecodedCommand {
  let changed = command
  const replace = (field: FieldNode): boolean => {
    const value = field.value === undefined ? known.value(contentOf(changed.bytes, field)) : undefined
    if (value === undefined) return field.children.some(replace)
    changed = decodeCommand(setField(changed, pathOf(field), value))
    return true
  }
  // Places are others after each change.
  for (let rounds = 0; rounds < MAX_VALUES && changed.parameterFields.some(replace); rounds++);
  return changed
}

const MAX_VALUES = 16

/** @throws Skipped */
async function authorized(
  recorded: DecodedCommand,
  command: DecodedCommand,
  known: Known,
  askName: AskName,
): Promise<Translated> {
  let changed = command
  let guessedFor: number | undefined
  for (const [index, said] of recorded.sessions.entries()) {
    if (said.kind === 'pw' || said.hmac.length === 0) continue
    const session = known.session(said.handle)
    if (session === undefined) throw new Skipped(known.whyMissing(said.handle))
    const owner = recorded.row?.handles.filter(({ authorized: isAuthorized }) => isAuthorized)[index]
    const handle = recorded.handles.find(({ name }) => name === owner?.name)?.value
    if (said.kind === 'policy' && !session.needsAuth) {
      changed = decodeCommand(setField(changed, `sessions[${index}].hmac`, Buffer.alloc(0)))
      continue
    }
    // One that only audits or enciphers has no authorization value in its HMAC.
    const auth = handle === undefined ? NOTHING : authOf(recorded, index, handle, known)
    if (auth === undefined) guessedFor = handle
    const names = await Promise.all(changed.handles.map(({ value }) => nameOf(value, askName)))
    const sessions = recorded.sessions.map(({ handle: one }) => known.session(one))
    const hmac = commandHmac(changed, index, names, sessions, auth ?? NOTHING)
    changed = decodeCommand(setField(changed, `sessions[${index}].hmac`, hmac))
  }
  return { bytes: changed.bytes, guessedFor }
}

const NOTHING = Buffer.alloc(0)

/** @returns undefined: it is not known, and may be empty @throws Skipped: it is not known */
function authOf(recorded: DecodedCommand, index: number, handle: number, known: Known): Buffer | undefined {
  const { said, guessed } = known.auths(handle)
  const session = known.session(recorded.sessions[index]?.handle ?? 0)
  const names = recorded.handles.map(({ value }) => known.recordedName(value))
  const canCheck = session?.wasKeyed === false && names.every((name) => name !== undefined)
  if (!canCheck) {
    const [first] = said
    // A wrong one does no harm to hierarchies and PCRs; of what else there is, the TPM counts wrong ones.
    if (first !== undefined || mayBeGuessed(handle)) return first
  } else {
    const sessions = recorded.sessions.map(({ handle: one }) => {
      const of = known.session(one)
      return of && { hash: of.hash, nonce: of.recordedNonce }
    })
    for (const value of [...said, ...guessed]) {
      const hmac = commandHmac(recorded, index, names as Buffer[], sessions, value)
      if (hmac.equals(recorded.sessions[index]?.hmac as Buffer)) return value
    }
  }
  throw new Skipped(notKnown(handle))
}

export const notKnown = (handle: number): string =>
  `the authorization value of 0x${handle.toString(16)} is not known; add a line {"auth":"…","handle":"0x${handle.toString(16)}"}`

const mayBeGuessed = (handle: number): boolean =>
  handle >>> 24 === 0x00 || (handle >>> 24 === 0x40 && handle !== TPM_HANDLES.LOCKOUT)

async function nameOf(handle: number, askName: AskName): Promise<Buffer> {
  if (isNamedByHandle(handle)) return handleBytes(handle)
  // A sequence has none.
  return (await askName(handle)) ?? Buffer.alloc(0)
}
