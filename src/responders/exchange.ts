/** One command that a client has sent, and what it was given for it. */
import type { TpmVersion } from '../../contract/engine-options.ts'
import { commandByCode } from '../tpm-structures/commands.ts'
import { type DecodedCommand, decodeCommand } from '../tpm-structures/decode-command.ts'
import { commandInWords } from '../tpm-structures/exchange-text.ts'
import type { Alteration } from './alteration.ts'
import type { Response } from './response.ts'
import type { TpmControl } from './tpm-control.ts'

/** Who sent a command: the kernel's driver by itself, as far as that can be told, or a client. */
export type Sender = 'driver' | 'client'

/** Why nobody waits for the response any more; the reason of an aborted {@link Exchange.signal}. */
export type Gone =
  /** CANCEL_TPM_CMD. The client waits, for the answer that it was cancelled. */
  | 'cancelled'
  | 'the client has gone'
  | 'the TPM was powered off or its engine replaced'
  | 'the engine has ended'

export interface Incoming {
  readonly bytes: Buffer
  readonly locality: number
  readonly from: Sender
  readonly signal: AbortSignal
}

interface Facts extends Incoming {
  readonly received: Buffer
  readonly faults: string[]
  readonly version: TpmVersion
  readonly number: number
  readonly nth: number
  readonly atMs: number
  readonly tpm: TpmControl
  readonly response: Promise<Response>
  readonly delivered: Promise<void>
  readonly previousResponse: Buffer
}

export class Exchange {
  /** The command as the client has sent it, or as a responder above has altered it. */
  readonly bytes: Buffer
  readonly locality: number
  readonly from: Sender
  readonly version: TpmVersion
  /** Of all commands, from 1. */
  readonly number: number
  /** Of those with this command code, from 1. */
  readonly nth: number
  /** When it came, in ms since the first responder of its TPM was there. */
  readonly atMs: number
  /** Aborted with a {@link Gone} when nobody waits for the response any more, or the command is cancelled. */
  readonly signal: AbortSignal
  /** What can be done to the TPM itself. */
  readonly tpm: TpmControl
  /** What the client is given in the end. */
  readonly response: Promise<Response>
  /** Resolves when it has been given that, and nothing is under way any more. */
  readonly delivered: Promise<void>
  /** What the command before was given; empty if that was nothing. */
  readonly previousResponse: Buffer
  /** The command as the client has sent it, whatever responders have made of it. */
  readonly received: Buffer
  readonly #faults: string[]
  #command: DecodedCommand | undefined

  constructor(facts: Facts) {
    this.bytes = facts.bytes
    this.locality = facts.locality
    this.from = facts.from
    this.version = facts.version
    this.number = facts.number
    this.nth = facts.nth
    this.atMs = facts.atMs
    this.signal = facts.signal
    this.tpm = facts.tpm
    this.response = facts.response
    this.delivered = facts.delivered
    this.previousResponse = facts.previousResponse
    this.received = facts.received
    this.#faults = facts.faults
  }

  /** Command code or ordinal; undefined where the bytes are too few to have one. */
  get code(): number | undefined {
    return this.bytes.length < 10 ? undefined : this.bytes.readUInt32BE(6)
  }

  /** As Part 3 has it, without TPM2_ or TPM_: `PCR_Extend`. `0x20001234` where it has none. */
  get name(): string {
    const { code } = this
    if (code === undefined) return '?'
    return commandByCode(this.version, code)?.name ?? `0x${code.toString(16).padStart(8, '0')}`
  }

  /** The whole command, decoded when first asked for. */
  get command(): DecodedCommand {
    this.#command ??= decodeCommand(this.bytes)
    return this.#command
  }

  /** The numbers in the handle area. */
  get handles(): readonly number[] {
    return this.command.handles.map(({ value }) => value)
  }

  get sessions(): DecodedCommand['sessions'] {
    return this.command.sessions
  }

  /** By the names of Part 3. */
  get parameters(): Readonly<Record<string, unknown>> {
    return this.command.parameters
  }

  /** The command with changes, from left to right: for `next()`. */
  with(...alterations: readonly Alteration[]): Buffer {
    return alterations.reduce<Buffer>(
      (bytes, { alter }) => alter(bytes, { command: this.command, kind: 'command' }),
      this.bytes,
    )
  }

  /** The same exchange as those below a responder see it which has altered the command. */
  withBytes(bytes: Buffer): Exchange {
    return bytes === this.bytes ? this : new Exchange({ ...this.#facts(), bytes })
  }

  #facts(): Facts {
    const { bytes, locality, from, version, number, nth, atMs, signal, tpm } = this
    const { response, delivered, previousResponse, received } = this
    return {
      ...{ bytes, locality, from, version, number, nth, atMs, signal, tpm },
      ...{ response, delivered, previousResponse, received, faults: this.#faults },
    }
  }

  /** The faults that have struck it up to now, in that order: `fault 2 "GetRandom#3: delay=900ms"`. */
  get faults(): readonly string[] {
    return this.#faults
  }

  /** @internal */
  struckBy(fault: string): void {
    this.#faults.push(fault)
  }

  /** `GetRandom (no. 3)` */
  get title(): string {
    return `${this.name} (no. ${this.number})`
  }

  /** The command as `swtpm trace` has it, without secrets. */
  toString(): string {
    return commandInWords(this.command, { secrets: false })
  }
}
