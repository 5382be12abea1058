/** Responders without a TPM below: an answer that is always the same, and a control that notes what is done to the TPM. */
import type { Sender } from '../../../src/responders/exchange.ts'
import { FaultList } from '../../../src/responders/fault.ts'
import type { Response } from '../../../src/responders/response.ts'
import { ResponderStack } from '../../../src/responders/stack.ts'
import { log } from '../../../src/system/log.ts'

// Every strike is logged.
log.configure({ destination: { kind: 'none' }, level: 1, prefix: '', format: 'text' })

export const RANDOM = Buffer.from('80010000000c0000017b0008', 'hex')
/** What the TPM answers to everything. */
export const ANSWER = Buffer.from('80010000001400000000000801020304050607ff'.padEnd(40, '0'), 'hex')

export interface Sent {
  readonly bytes?: Buffer
  readonly locality?: number
  readonly from?: Sender
  readonly signal?: AbortSignal
}

export class ScriptedTpm {
  readonly stack: ResponderStack
  readonly faults: FaultList
  /** Commands that the TPM has executed. */
  readonly executed: string[] = []
  /** What was done to it, besides. */
  readonly done: string[] = []

  constructor({ version = '2' as '2' | '1.2', seed = 0, rules = [] as readonly string[] } = {}) {
    const note = (what: string): void => {
      this.done.push(what)
    }
    const tpm = {
      crash: () => note('crash'),
      reset: async () => note('reset'),
      forget: async (thing: object) => note(`forget ${JSON.stringify(thing)}`),
      unplug: async (ms?: number) => note(`unplug ${ms}`),
    }
    this.stack = new ResponderStack({ version, tpm, seed })
    this.faults = new FaultList(this.stack)
    for (const rule of rules) this.faults.add(rule)
  }

  async send({
    bytes = RANDOM,
    locality = 0,
    from = 'client',
    signal = NEVER,
  }: Sent = {}): Promise<Response | 'pass'> {
    return this.stack.handle({ bytes, locality, from, signal }, async (command) => {
      this.executed.push(command.toString('hex'))
      return ANSWER
    })
  }

  /** @returns `how: hex` */
  async answer(sent: Sent = {}): Promise<string> {
    const response = await this.send(sent)
    if (response === 'pass') return 'pass'
    const { how, ...more } = response.delivery
    const hex = response.bytes.toString('hex')
    const values = Object.values(more).join(' ')
    return [how, values, hex].filter((part) => part !== '').join(' ')
  }

  /** Whether the rule that it has struck. */
  async struckBy(sent: Sent = {}): Promise<boolean> {
    const before = this.faults.list().reduce((sum, { struck }) => sum + struck, 0)
    await this.send(sent)
    return this.faults.list().reduce((sum, { struck }) => sum + struck, 0) > before
  }
}

const NEVER = new AbortController().signal
