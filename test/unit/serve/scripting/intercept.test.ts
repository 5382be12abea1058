/** What an engine that has been broken into may show as commands: little is kept of it. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { it } from 'node:test'
import type { EngineClient } from '../../../../src/engine-client/engine-client.ts'
import { Response } from '../../../../src/responders/response.ts'
import type { ResponderStack } from '../../../../src/responders/stack.ts'
import { interceptCommands } from '../../../../src/serve/scripting/intercept.ts'
import { decodeCommand } from '../../../../src/tpm-structures/decode-command.ts'
import { waitFor } from '../../../support/wait.ts'

it('refuses a command that is there, one that is none, and one too many, as a breach of the protocol', () => {
  const engine = new EventEmitter()
  let shown = 0
  const stack = {
    handle: () => {
      shown++
      return new Promise(() => {})
    },
  }
  interceptCommands(engine as unknown as EngineClient, stack as unknown as ResponderStack)
  const show = (number: number, bytes: number): unknown =>
    engine.emit('command', number, 0, Buffer.alloc(bytes))
  // What is left of one that is too long.
  show(1, 4105)
  assert.throws(() => show(1, 10), RangeError)
  assert.throws(() => show(2, 4106), RangeError)
  for (let number = 2; number <= 64; number++) show(number, 10)
  assert.throws(() => show(65, 10), RangeError)
  assert.equal(shown, 64)
})

/** An engine that notes what it is told, and responders that answer when they are told to. */
class Scripted {
  readonly engine = new EventEmitter()
  readonly told: string[] = []
  readonly answer: ((response: Response) => void)[] = []

  constructor() {
    const respond = async (
      number: number,
      verdict: string,
      { bytes = Buffer.alloc(0) }: { bytes?: Buffer } = {},
      waits = () => true,
    ): Promise<boolean> => {
      if (waits()) this.told.push(`${number} ${verdict} ${bytes.toString('hex')}`)
      return waits()
    }
    const stack = {
      handle: async (_: unknown, __: unknown, deliver: (response: Response) => Promise<void>) =>
        deliver(await new Promise<Response>((resolve) => this.answer.push(resolve))),
    }
    Object.assign(this.engine, { respond })
    interceptCommands(this.engine as unknown as EngineClient, stack as unknown as ResponderStack)
  }

  show(number: number): void {
    this.engine.emit('command', number, 0, Buffer.alloc(10))
  }
}

const RESPONSE = new Response(
  { version: '2', command: decodeCommand(Buffer.alloc(10)) },
  Buffer.from('c0ffee', 'hex'),
)

it('gives what comes too late to no command of the next engine, which has the same number', async () => {
  const scripted = new Scripted()
  const { engine, told, answer } = scripted
  scripted.show(1)
  engine.emit('engineDied')
  scripted.show(1)
  answer[0]?.(RESPONSE)
  await new Promise(setImmediate)
  assert.deepEqual(told, [])
  answer[1]?.(RESPONSE)
  await new Promise(setImmediate)
  assert.deepEqual(told, ['1 answer c0ffee'])
})

it('keeps nothing of commands that are gone, though a responder never answers them', () => {
  const scripted = new Scripted()
  const { engine } = scripted
  for (let number = 1; number <= 1000; number++) {
    scripted.show(number)
    engine.emit('commandGone', number, 'client')
  }
})

it('gives all pieces of the response to a command that is cancelled between them', async () => {
  const scripted = new Scripted()
  const { engine, told, answer } = scripted
  scripted.show(1)
  answer[0]?.(RESPONSE.delivered({ how: 'pieces', sizeBytes: 1, pauseMs: 1_000_000 }))
  await new Promise(setImmediate)
  assert.deepEqual(told, ['1 part c0'])
  engine.emit('cancelled')
  await waitFor(() => told.length === 3, { what: 'the rest of the response' })
  assert.deepEqual(told, ['1 part c0', '1 part ff', '1 answer ee'])
})
