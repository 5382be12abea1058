/** What an engine that has been broken into may show as commands: little is kept of it. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { it } from 'node:test'
import type { EngineClient } from '../../../../src/engine-client/engine-client.ts'
import type { ResponderStack } from '../../../../src/responders/stack.ts'
import { interceptCommands } from '../../../../src/serve/scripting/intercept.ts'

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
  show(1, 4096)
  assert.throws(() => show(1, 10), RangeError)
  assert.throws(() => show(2, 4097), RangeError)
  for (let number = 2; number <= 64; number++) show(number, 10)
  assert.throws(() => show(65, 10), RangeError)
  assert.equal(shown, 64)
})
