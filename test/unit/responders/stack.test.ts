/** The stack of responders: who is asked, what an answer may be, and what is told of an exchange. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { rc } from '../../../src/responders/effects/instead.ts'
import { Response } from '../../../src/responders/response.ts'
import { ANSWER, RANDOM, ScriptedTpm } from './support.ts'

const whole = `whole ${ANSWER.toString('hex')}`
const FAILURE = 'whole 80010000000a00000101'

describe('a responder', () => {
  it('gives a response, bytes, a code, an effect, or nothing', async () => {
    const tpm = new ScriptedTpm()
    const answers: [give: () => never, answer: string][] = [
      [() => Buffer.from('8001', 'hex') as never, 'whole 8001'],
      [() => 0x922 as never, 'whole 80010000000a00000922'],
      [() => rc('TESTING') as never, 'whole 80010000000a0000090a'],
      [() => undefined as never, whole],
      [() => 'RETRY' as never, FAILURE],
      [() => Number.NaN as never, FAILURE],
      [() => (2 ** 32) as never, FAILURE],
      [() => Buffer.alloc(2 ** 20) as never, FAILURE],
      [() => assert.fail('wrong'), FAILURE],
    ]
    for (const [give, answer] of answers) {
      using _ = tpm.stack.on('*', give)
      assert.equal(await tpm.answer(), answer)
    }
    using _ = tpm.stack.on('*', (exchange) => Response.none(exchange, { how: 'hangUp' }))
    assert.equal(await tpm.answer(), 'hangUp')
  })

  it('sees the command as those above it have altered it, and the TPM gets it so', async () => {
    const tpm = new ScriptedTpm()
    const seen: string[] = []
    tpm.stack.on('*', (exchange) => {
      seen.push(exchange.bytes.toString('hex'))
    })
    tpm.stack.on('*', (_, next) => next(Buffer.from('80010000000c0000017b0001', 'hex')))
    assert.equal(await tpm.answer(), whole)
    assert.deepEqual([seen, tpm.executed], [['80010000000c0000017b0001'], ['80010000000c0000017b0001']])
  })

  it('that was taken away meanwhile is not asked any more', async () => {
    const tpm = new ScriptedTpm({ rules: ['*: rc=RETRY'] })
    tpm.stack.on('*', (_, next) => {
      tpm.faults.clear()
      return next()
    })
    assert.equal(await tpm.answer(), whole)
  })

  it('that goes on for ever is not waited for when nobody waits for it, or the command is cancelled', async () => {
    const tpm = new ScriptedTpm()
    tpm.stack.on('*', () => new Promise(() => {}))
    for (const [reason, answer] of [
      ['the client has gone', 'silence'],
      ['the engine has ended', 'silence'],
      ['cancelled', 'whole 80010000000a00000909'],
    ] as const) {
      const gone = new AbortController()
      const answered = tpm.answer({ signal: gone.signal })
      gone.abort(reason)
      assert.equal(await answered, answer)
    }
    assert.deepEqual(tpm.executed, [])
  })

  it('that has had a command executed says what its client is told, also if that is cancelled', async () => {
    const tpm = new ScriptedTpm()
    const cancel = new AbortController()
    let goOn!: () => void
    const executed = new Promise<void>((resolve) => {
      tpm.stack.on('*', async (_, next) => {
        const response = await next()
        resolve()
        await new Promise<void>((later) => {
          goOn = later
        })
        return response
      })
    })
    const answered = tpm.answer({ signal: cancel.signal })
    await executed
    cancel.abort('cancelled')
    // So long as a responder is waited for that has not.
    const other = new ScriptedTpm()
    other.stack.on('*', () => new Promise(() => {}))
    assert.match(await other.answer({ signal: AbortSignal.abort('cancelled') }), /909$/)
    goOn()
    assert.equal(await answered, whole)
  })

  it('is wrong when its function for when is, when it asks for what is no command, or returns itself', async () => {
    const tpm = new ScriptedTpm()
    const wrong = (): never => assert.fail('wrong')
    const itself = (): never => itself as never
    for (const put of [
      () => tpm.stack.on(wrong, () => 0x922),
      () => tpm.stack.on('*', (_, next) => next('8001' as never)),
      () => tpm.stack.on('*', (_, next) => next(Buffer.alloc(2 ** 20))),
      () => tpm.stack.on('*', itself),
    ]) {
      using _ = put()
      assert.equal(await tpm.answer(), FAILURE)
    }
    assert.deepEqual(tpm.executed, [])
  })

  it('need not wait for the response that it has asked for', async () => {
    const tpm = new ScriptedTpm()
    tpm.stack.on('*', (_, next) => {
      next()
      next()
      return 0x922
    })
    const bottom = () => Promise.reject(new Error('the command waits no more'))
    const { signal } = new AbortController()
    const unhandled: unknown[] = []
    const note = (error: unknown): number => unhandled.push(error)
    process.on('unhandledRejection', note)
    await tpm.stack.handle({ bytes: RANDOM, locality: 0, from: 'client', signal }, bottom)
    await new Promise(setImmediate)
    process.off('unhandledRejection', note)
    assert.deepEqual(unhandled, [])
  })

  it('that has nothing to give in pieces, or twice, leaves the way in which there is nothing', async () => {
    for (const rule of ['*: pieces=3', '*: double'])
      assert.equal(await new ScriptedTpm({ rules: ['*: hangup', rule] }).answer(), 'hangUp')
  })

  it('numbers exchanges, those of each name too', async () => {
    const tpm = new ScriptedTpm()
    const seen: string[] = []
    tpm.stack.on('*', ({ name, number, nth, code }) => {
      seen.push(`${name} ${number} ${nth} ${code?.toString(16)}`)
    })
    await tpm.send()
    await tpm.send({ bytes: Buffer.from('80010000000a20001234', 'hex') })
    await tpm.send()
    await tpm.send({ bytes: Buffer.from('8001', 'hex') })
    assert.deepEqual(seen, [
      'GetRandom 1 1 17b',
      '0x20001234 2 1 20001234',
      'GetRandom 3 2 17b',
      '? 4 1 undefined',
    ])
  })
})

describe('a watcher', () => {
  it('is told how an exchange has ended, also when nobody waits for it any more', async () => {
    const tpm = new ScriptedTpm()
    const told: string[] = []
    using _ = tpm.stack.watch(({ response }) => {
      response.then(({ text }) => told.push(text))
    })
    await tpm.send()
    const bottom = () => Promise.reject(new Error('the engine has gone'))
    const { signal } = new AbortController()
    await assert.rejects(tpm.stack.handle({ bytes: RANDOM, locality: 0, from: 'client', signal }, bottom))
    await new Promise(setImmediate)
    assert.deepEqual(told, ['SUCCESS', 'no response'])
  })
})

describe('commands come here', () => {
  it('while there is a responder or a watcher, and until what is under way is over', async () => {
    const tpm = new ScriptedTpm()
    const changes: boolean[] = []
    tpm.stack.onActive = (active) => changes.push(active)
    assert.equal(await tpm.answer(), 'pass')
    changes.length = 0
    const fault = tpm.faults.add('*: late=1000s')
    const strikes = fault.next()
    const underWay = tpm.send()
    await strikes
    fault[Symbol.dispose]()
    assert.deepEqual(changes, [true])
    await underWay
    assert.deepEqual(changes, [true, false])
    tpm.stack.watch(() => {})[Symbol.dispose]()
    assert.deepEqual(changes, [true, false, true, false])
  })

  it('and pass where no responder is meant, unless one may ask for what was before', async () => {
    const tpm = new ScriptedTpm({ rules: ['PCR_Read: rc=RETRY'] })
    assert.equal(await tpm.answer(), 'pass')
    using _ = tpm.stack.on('PCR_Read', (exchange) => exchange.previousResponse)
    assert.equal(await tpm.answer(), whole)
    assert.equal(await tpm.answer({ bytes: Buffer.from('80010000000a0000017e', 'hex') }), whole)
  })
})
