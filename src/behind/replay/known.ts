/**
 * What a replay knows of objects, sessions and values, on both sides: what the recorded TPM called them, and what the other TPM
 * does.
 */
import type { HandleMap } from '../../recordings/differences.ts'
import type { RecordingAuth } from '../../recordings/tpmrec.ts'
import { TPM_HANDLES } from '../../tpm-structures/codes.ts'
import { TPM_CC } from '../../tpm-structures/command-codes.ts'
import type { DecodedCommand } from '../../tpm-structures/decode-command.ts'
import type { DecodedResponse } from '../../tpm-structures/decode-response.ts'
import { contentOf, type FieldNode } from '../../tpm-structures/fields.ts'
import type { DecodedMessage } from '../../tpm-structures/message.ts'

export interface ReplayedSession {
  readonly hash: string
  /** Of the recorded TPM, and of the other one. */
  recordedNonce: Buffer
  nonce: Buffer
  /** It had a salt or was bound: its recorded HMACs cannot be checked. The other TPM's has neither. */
  readonly wasKeyed: boolean
  /** A policy that asks for the authorization value, too. */
  needsAuth: boolean
}

/** Of the recorded TPM; undefined: not known. */
interface Thing {
  readonly name: Buffer | undefined
  readonly auth: Buffer | undefined
}

/** Shorter ones could be the same by chance. */
const LEAST_VALUE_BYTES = 8

const HASHES: Readonly<Record<number, string>> = { 4: 'sha1', 11: 'sha256', 12: 'sha384', 13: 'sha512' }

export class Known {
  readonly #handles = new Map<number, number>()
  /** Made by commands that were not replayed, or have failed. */
  readonly #lost = new Set<number>()
  readonly #sessions = new Map<number, ReplayedSession>()
  /** By the recorded content of a field, in hex digits: what the other TPM has given in its place. */
  readonly #values = new Map<string, Buffer>()
  readonly #things = new Map<number, Thing>()
  /** By contexts, and public areas that Create has given. */
  readonly #stored = new Map<string, Thing>()
  readonly #auths: readonly RecordingAuth[]

  constructor(auths: readonly RecordingAuth[]) {
    this.#auths = auths
  }

  get handles(): HandleMap {
    return this.#handles
  }

  /** @returns what the other TPM calls it; undefined: it has no such thing */
  handle(recorded: number): number | undefined {
    return isDynamic(recorded) ? this.#handles.get(recorded) : recorded
  }

  /** Why it has none. */
  whyMissing(recorded: number): string {
    return this.#lost.has(recorded)
      ? 'what it needs was to be made by a command that was not replayed'
      : 'what it needs was made before the recording'
  }

  session(recorded: number): ReplayedSession | undefined {
    return this.#sessions.get(recorded)
  }

  value(recorded: Buffer): Buffer | undefined {
    return this.#values.get(recorded.toString('hex'))
  }

  /** Name of a handle's thing in the recorded TPM. */
  recordedName(handle: number): Buffer | undefined {
    if (isNamedByHandle(handle)) return handleBytes(handle)
    return this.#things.get(handle)?.name
  }

  /** Authorization values that it may have: the likeliest first. */
  auths(handle: number): { readonly said: readonly Buffer[]; readonly guessed: readonly Buffer[] } {
    const said = this.#auths.filter((auth) => auth.handle === handle).map(({ value }) => value)
    const learned = this.#things.get(handle)?.auth
    const general = this.#auths.filter((auth) => auth.handle === undefined).map(({ value }) => value)
    return {
      said: [...said, ...(learned === undefined ? [] : [learned]), ...general],
      guessed: [Buffer.alloc(0)],
    }
  }

  /** A command has gone the same way in both TPMs. */
  learn(command: DecodedCommand, recorded: DecodedResponse, got: DecodedResponse): void {
    for (const [index, { value }] of recorded.handles.entries()) {
      this.#handles.set(value, got.handles[index]?.value ?? value)
      this.#lost.delete(value)
    }
    this.#learnValues(recorded, got, recorded.parameterFields, got.parameterFields)
    this.#learnThings(command, recorded)
    this.#learnSessions(command, recorded, got)
  }

  /** A command was not replayed, or not with success. */
  lose(recorded: DecodedResponse): void {
    for (const { value } of recorded.handles) {
      this.#handles.delete(value)
      this.#lost.add(value)
    }
  }

  #learnValues(
    recorded: DecodedMessage,
    got: DecodedMessage,
    one: readonly FieldNode[],
    other: readonly FieldNode[],
  ): void {
    for (const [index, field] of one.entries()) {
      const against = other[index]
      if (against === undefined) return
      const [mine, theirs] = [contentOf(recorded.bytes, field), contentOf(got.bytes, against)]
      if (field.value === undefined && mine.length >= LEAST_VALUE_BYTES && !mine.equals(theirs))
        this.#values.set(mine.toString('hex'), Buffer.from(theirs))
      this.#learnValues(recorded, got, field.children, against.children)
    }
  }

  #learnThings(command: DecodedCommand, recorded: DecodedResponse): void {
    const { name: what } = command
    const field = (message: DecodedMessage, ...path: readonly string[]): Buffer | undefined =>
      fieldAt(message, message.parameterFields, path)
    const name = field(recorded, 'name') ?? field(recorded, 'nvName')
    const auth =
      field(command, 'inSensitive', 'userAuth') ?? field(command, 'newAuth') ?? field(command, 'auth')
    const [made] = recorded.handles
    const [asked, second] = command.handles
    switch (what) {
      case 'CreatePrimary':
      case 'CreateLoaded':
      case 'HMAC_Start':
      case 'HashSequenceStart':
        if (made !== undefined) this.#things.set(made.value, { name: name ?? Buffer.alloc(0), auth })
        break
      case 'LoadExternal':
        if (made !== undefined) this.#things.set(made.value, { name, auth: undefined })
        break
      case 'Create':
        this.#store(field(recorded, 'outPublic'), { name: undefined, auth })
        break
      case 'Load': {
        const stored = this.#restored(field(command, 'inPublic'))
        if (made !== undefined) this.#things.set(made.value, { name, auth: stored?.auth })
        break
      }
      case 'ContextSave':
        if (asked !== undefined)
          this.#store(
            field(recorded, 'context'),
            this.#things.get(asked.value) ?? { name: undefined, auth: undefined },
          )
        break
      case 'ContextLoad': {
        const stored = this.#restored(field(command, 'context'))
        if (made !== undefined && stored !== undefined) this.#things.set(made.value, stored)
        break
      }
      case 'ReadPublic':
      case 'NV_ReadPublic':
        if (asked !== undefined)
          this.#things.set(asked.value, { name, auth: this.#things.get(asked.value)?.auth })
        break
      case 'NV_DefineSpace':
        if (second !== undefined) this.#things.set(second.value, { name: undefined, auth })
        break
      case 'NV_ChangeAuth':
      case 'HierarchyChangeAuth':
        if (asked !== undefined)
          this.#things.set(asked.value, { name: this.#things.get(asked.value)?.name, auth })
        break
      case 'NV_Write':
      case 'NV_Extend':
      case 'NV_Increment':
      case 'NV_SetBits':
        // It has been written to, which its name says from then on.
        if (second !== undefined)
          this.#things.set(second.value, { name: undefined, auth: this.#things.get(second.value)?.auth })
    }
  }

  #store(content: Buffer | undefined, thing: Thing): void {
    if (content !== undefined) this.#stored.set(content.toString('hex'), thing)
  }

  #restored(content: Buffer | undefined): Thing | undefined {
    return content === undefined ? undefined : this.#stored.get(content.toString('hex'))
  }

  #learnSessions(command: DecodedCommand, recorded: DecodedResponse, got: DecodedResponse): void {
    if (command.code === TPM_CC.StartAuthSession) {
      const [key, bind] = command.handles
      const hash = HASHES[Number(command.parameterFields.find(({ name }) => name === 'authHash')?.value)]
      const [made] = recorded.handles
      if (made !== undefined && hash !== undefined)
        this.#sessions.set(made.value, {
          hash,
          recordedNonce: fieldAt(recorded, recorded.parameterFields, ['nonceTPM']) ?? Buffer.alloc(0),
          nonce: fieldAt(got, got.parameterFields, ['nonceTPM']) ?? Buffer.alloc(0),
          wasKeyed: key?.value !== TPM_HANDLES.NULL || bind?.value !== TPM_HANDLES.NULL,
          needsAuth: false,
        })
    }
    for (const [index, { handle }] of command.sessions.entries()) {
      const session = this.#sessions.get(handle)
      const [mine, theirs] = [recorded.sessions[index], got.sessions[index]]
      if (session === undefined || mine === undefined || theirs === undefined) continue
      session.recordedNonce = mine.nonce
      session.nonce = theirs.nonce
    }
    if (command.code === TPM_CC.PolicyAuthValue) {
      const session = this.#sessions.get(command.handles[0]?.value ?? 0)
      if (session !== undefined) session.needsAuth = true
    }
  }
}

function fieldAt(
  message: DecodedMessage,
  fields: readonly FieldNode[],
  path: readonly string[],
): Buffer | undefined {
  const [first, ...rest] = path
  const field = fields.find(({ name }) => name === first)
  if (field === undefined) return undefined
  return rest.length === 0 ? contentOf(message.bytes, field) : fieldAt(message, field.children, rest)
}

/** Objects and sessions have other handles in each TPM. */
const isDynamic = (handle: number): boolean => [0x02, 0x03, 0x80].includes(handle >>> 24)

/** PCRs, sessions, and what is there for ever. */
export const isNamedByHandle = (handle: number): boolean => [0x00, 0x02, 0x03, 0x40].includes(handle >>> 24)

export function handleBytes(handle: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(handle)
  return bytes
}
