/** Sends the commands of a recording to a TPM, and compares what it answers. */

import { type Difference, responseDifferences } from '../../recordings/differences.ts'
import type { Recording } from '../../recordings/recording.ts'
import { delay } from '../../system/time-limit.ts'
import { startupCommand } from '../../tpm-commands/startup.ts'
import { nvReadPublic, readPublic } from '../../tpm-commands/tpm2-commands.ts'
import { TPM_CC } from '../../tpm-structures/command-codes.ts'
import { type DecodedCommand, decodeCommand } from '../../tpm-structures/decode-command.ts'
import { type DecodedResponse, decodeResponse } from '../../tpm-structures/decode-response.ts'
import { contentOf } from '../../tpm-structures/fields.ts'
import { parseResultCode } from '../../tpm-structures/result-codes.ts'
import { Known } from './known.ts'
import type { ReplayTarget } from './target.ts'
import { notKnown, Skipped, translate } from './translate.ts'

export interface Replayed {
  /** From 1. */
  readonly number: number
  readonly command: DecodedCommand
  readonly outcome:
    | { readonly kind: 'same' }
    | {
        readonly kind: 'different'
        readonly differences: readonly Difference[]
        readonly got: DecodedResponse
      }
    /** It was not sent, or its answer says nothing. */
    | { readonly kind: 'skipped'; readonly reason: string }
    /** The recorded TPM has asked for it again, and the recording has that. */
    | { readonly kind: 'repeated' }
}

const AGAIN_PAUSE_MS = 20
/** A TPM that tests itself takes seconds. */
const MOST_TIMES = 500

const RC_AUTH_FAIL = 0x08e
const RC_BAD_AUTH = 0x0a2
/** Of a code that says of which session it is. */
const RC_WITHOUT_PLACE = 0x0bf

/** @throws SwtpmError: the TPM cannot be asked any more */
export async function* replay(recording: Recording, target: ReplayTarget): AsyncGenerator<Replayed> {
  const replayer = new Replayer(recording, target)
  for (const [index, { command, response, locality }] of recording.exchanges.entries()) {
    const decoded = decodeCommand(command)
    const outcome = await replayer.exchange(decoded, response, locality ?? 0)
    yield { number: index + 1, command: decoded, outcome }
  }
}

function refusesAuthorization(response: Buffer): boolean {
  const code = response.length < 10 ? 0 : response.readUInt32BE(6) & RC_WITHOUT_PLACE
  return code === RC_AUTH_FAIL || code === RC_BAD_AUTH
}

class Replayer {
  readonly #target: ReplayTarget
  readonly #known: Known
  readonly #codes: { readonly initialize: number; readonly again: readonly number[] }
  readonly #version: Recording['version']
  #startedUp = false

  constructor({ version, auths }: Recording, target: ReplayTarget) {
    this.#version = version
    this.#target = target
    this.#known = new Known(auths)
    const code = (name: string): number => parseResultCode(name, version) as number
    this.#codes =
      version === '2'
        ? { initialize: code('INITIALIZE'), again: [code('RETRY'), code('YIELDED'), code('TESTING')] }
        : { initialize: code('INVALID_POSTINIT'), again: [code('RETRY'), code('DOING_SELFTEST')] }
  }

  async exchange(
    command: DecodedCommand,
    response: Uint8Array | undefined,
    locality: number,
  ): Promise<Replayed['outcome']> {
    const skipped = (reason: string): Replayed['outcome'] => ({ kind: 'skipped', reason })
    if (response === undefined) return skipped('it was not answered')
    const recorded = decodeResponse(response, command)
    if (command.code === TPM_CC.SetLocality)
      return skipped('the proxy driver asks the front end, and not the TPM')
    if (this.#codes.again.includes(recorded.code)) return { kind: 'repeated' }
    if (locality !== 0 && !this.#target.hasLocalities) {
      this.#known.lose(recorded)
      return skipped(`its locality is ${locality}`)
    }
    try {
      const { bytes, guessedFor } = await translate(command, recorded.code === 0, this.#known, (handle) =>
        this.#nameOf(handle),
      )
      const got = await this.#ask(bytes, locality, recorded.code)
      if (guessedFor !== undefined && recorded.code === 0 && refusesAuthorization(got))
        throw new Skipped(notKnown(guessedFor))
      return this.#compare(command, recorded, got)
    } catch (error) {
      if (!(error instanceof Skipped)) throw error
      this.#known.lose(recorded)
      return skipped(error.message)
    }
  }

  #compare(command: DecodedCommand, recorded: DecodedResponse, bytes: Buffer): Replayed['outcome'] {
    const got = decodeResponse(bytes, command)
    // It was on before.
    if (command.name === 'Startup' && got.code === this.#codes.initialize) return { kind: 'same' }
    const differences = responseDifferences(recorded, got, this.#known.handles)
    if (recorded.code === 0 && got.code === 0) this.#known.learn(command, recorded, got)
    else this.#known.lose(recorded)
    // What was made has another handle, and the response says which: that is learned only now.
    const left = differences.filter(({ path }) => !recorded.handles.some(({ name }) => name === path))
    return left.length === 0 ? { kind: 'same' } : { kind: 'different', differences: left, got }
  }

  /** Asks again as long as the TPM wants that; starts it up where the recorded one was. */
  async #ask(command: Buffer, locality: number, recordedCode: number): Promise<Buffer> {
    for (let times = 1; ; times++) {
      const response = await this.#target.ask(Buffer.from(command), locality)
      const code = response.length < 10 ? 0 : response.readUInt32BE(6)
      if (this.#codes.again.includes(code) && times < MOST_TIMES) await delay(AGAIN_PAUSE_MS)
      else if (code === this.#codes.initialize && recordedCode !== code && !this.#startedUp) {
        this.#startedUp = true
        if (decodeCommand(command).name === 'Startup') return response
        await this.#target.ask(startupCommand(this.#version, 'clear'), 0)
      } else return response
    }
  }

  async #nameOf(handle: number): Promise<Buffer | undefined> {
    const isNv = handle >>> 24 === 0x01
    const command = isNv ? nvReadPublic(handle) : readPublic(handle)
    const response = decodeResponse(await this.#ask(command, 0, 0), decodeCommand(command))
    const field = response.parameterFields.find(({ name }) => name === (isNv ? 'nvName' : 'name'))
    return response.code === 0 && field !== undefined ? contentOf(response.bytes, field) : undefined
  }
}
