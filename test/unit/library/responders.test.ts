/** Responders of a program: what they see, what they answer, and what is seen of them. */
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { delay, mute, pieces, rc, set, truncate } from '../../../src/library/faults.ts'
import { createTpm, type Exchange, RC, Response, RuleError } from '../../../src/library/index.ts'
import { temporaryDirectory } from '../../support/swtpm.ts'
import { TPM2 } from '../../support/tpm-commands.ts'

const GET_RANDOM_8 = '80010000000c0000017b0008'

describe('responders', () => {
  it('are asked newest first, and can be taken away', async () => {
    await using tpm = await createTpm()
    const seen: string[] = []
    const below = tpm.on('GetRandom', (_, next) => {
      seen.push('below')
      return next()
    })
    const above = tpm.on('*', () => {
      seen.push('above')
    })
    await tpm.send(GET_RANDOM_8)
    above[Symbol.dispose]()
    await tpm.send(GET_RANDOM_8)
    below[Symbol.dispose]()
    await tpm.send(GET_RANDOM_8)
    assert.deepEqual(seen, ['above', 'below', 'below'])
  })

  it('alter commands and responses', async () => {
    await using tpm = await createTpm()
    tpm.on('GetRandom', (exchange, next) => next(exchange.with(set('bytesRequested', 4))))
    assert.equal(((await tpm.send(GET_RANDOM_8)).parameters.randomBytes as Buffer).length, 4)
    tpm.on('GetRandom', async (_, next) => (await next()).with(set('randomBytes.size', '+60'), truncate(14)))
    const { bytes } = await tpm.send(GET_RANDOM_8)
    assert.equal(bytes.length, 14)
    assert.equal(bytes.readUInt16BE(10), 64)
  })

  it('answer with bytes, a code, a response or an effect', async () => {
    await using tpm = await createTpm()
    const answers = [Buffer.from('abc'), 0x922, rc('YIELDED'), undefined]
    const texts: string[] = []
    for (const answer of answers) {
      using _responder = tpm.on('GetRandom', () => answer)
      texts.push((await tpm.send(GET_RANDOM_8)).text)
    }
    assert.deepEqual(texts, ['no response', 'RETRY', 'YIELDED', 'SUCCESS'])
  })

  it('that throw are answered FAILURE', async (t) => {
    const written: string[] = []
    t.mock.method(fs, 'writeSync', (_: number, text: string | Uint8Array) => {
      written.push(String(text))
      return text.length
    })
    await using tpm = await createTpm()
    tpm.on('GetRandom', () => {
      throw new Error('a mistake of the test')
    })
    assert.equal((await tpm.send(GET_RANDOM_8)).code, RC.FAILURE)
    assert.match(written.join(''), /GetRandom.*a mistake of the test[\s\S]*responders\.test/)
  })

  it('see name, handles, sessions and parameters', async () => {
    await using tpm = await createTpm()
    const seen = tpm.next('CreatePrimary')
    await tpm.send(TPM2.createPrimaryEcc)
    const exchange: Exchange = await seen
    assert.equal(exchange.name, 'CreatePrimary')
    assert.equal(exchange.nth, 1)
    assert.equal(exchange.handles.length, 1)
    assert.equal(exchange.sessions[0]?.kind, 'pw')
    assert.ok('inPublic' in exchange.parameters)
    const response = await exchange.response
    assert.ok(response instanceof Response)
    assert.equal(response.text, 'SUCCESS')
  })

  it('point at the mistake in a when', async () => {
    await using tpm = await createTpm()
    assert.throws(
      () => tpm.on('GetRandm', rc('RETRY')),
      (error) =>
        error instanceof RuleError && error.column === 1 && /did you mean GetRandom\?/.test(error.message),
    )
  })
})

describe('what is seen', () => {
  it('is logged, counted and waited for', async () => {
    await using tpm = await createTpm()
    await tpm.send(GET_RANDOM_8)
    await tpm.send(GET_RANDOM_8)
    assert.equal(tpm.count('GetRandom'), 2)
    assert.equal(tpm.count('GetRandom#2'), 1)
    assert.deepEqual(
      tpm.log.map(({ name }) => name),
      ['GetRandom', 'GetRandom'],
    )
    const waited = tpm.next('PCR_Read', { timeoutMs: 50 })
    await tpm.send(GET_RANDOM_8)
    await assert.rejects(waited, /No "PCR_Read" within 50 ms; there came GetRandom \(no\. 3\)/)
  })

  it('says of a fault what it struck', async () => {
    await using tpm = await createTpm()
    using fault = tpm.fault('GetRandom#2: rc=RETRY')
    const struck = fault.next()
    await tpm.send(GET_RANDOM_8)
    assert.equal(fault.struck, 0)
    await tpm.send(GET_RANDOM_8)
    assert.equal((await struck).nth, 2)
    assert.equal(fault.struck, 1)
    assert.equal(fault.text, 'GetRandom#2: rc=RETRY')
  })
})

describe('send', () => {
  it('is in --trace and --record as its caller sees it, with what has struck it', async (t) => {
    const directory = temporaryDirectory(t)
    const [trace, recording] = [join(directory, 'trace'), join(directory, 'rec.tpmrec')]
    const tpm = await createTpm({ words: ['--trace', trace, '--record', recording] })
    try {
      tpm.fault('GetRandom#1: rc=RETRY')
      tpm.fault('GetRandom#2: drop')
      tpm.fault('GetRandom#3: truncate=11')
      tpm.on('GetRandom', (exchange, next) => next(exchange.with(set('bytesRequested', 4))))
      await tpm.send(GET_RANDOM_8)
      await assert.rejects(tpm.send(GET_RANDOM_8, { locality: 3 }), { code: 'SWTPM_ERR_NO_RESPONSE' })
      await tpm.send(GET_RANDOM_8)
    } finally {
      await tpm.close()
    }
    const told = /^ +[\d.]+ +(?:[\d.]+ ms +)?(.*?) +→ (.*)$/
    const lines = fs.readFileSync(trace, 'utf8').trimEnd().split('\n')
    assert.deepEqual(
      lines.map((line) => told.exec(line)?.slice(1)),
      [
        ['Startup startupType CLEAR', 'SUCCESS'],
        ['GetRandom bytesRequested 8', 'RETRY (0x922)  fault 1 "GetRandom#1: rc=RETRY"'],
        ['locality 3 GetRandom bytesRequested 8', 'no response  fault 2 "GetRandom#2: drop"'],
        [
          'GetRandom bytesRequested 8',
          'SUCCESS (the header says 16 bytes, 11 are there)  fault 3 "GetRandom#3: truncate=11"',
        ],
        ['Shutdown shutdownType STATE', 'SUCCESS'],
      ],
    )
    const faults = fs.readFileSync(recording, 'utf8').match(/"f":\["fault \d/g)
    assert.deepEqual(faults, ['"f":["fault 1', '"f":["fault 2', '"f":["fault 3'])
  })

  it('fails where there is no response', async () => {
    await using tpm = await createTpm()
    tpm.on('GetRandom', mute())
    await assert.rejects(tpm.send(GET_RANDOM_8), { code: 'SWTPM_ERR_NO_RESPONSE' })
  })

  it('ends with its signal', async () => {
    await using tpm = await createTpm()
    tpm.on('GetRandom', delay(60_000))
    const abort = new AbortController()
    const seen = tpm.next('GetRandom')
    const sent = tpm.send(GET_RANDOM_8, { signal: abort.signal })
    await seen
    abort.abort(new Error('enough'))
    await assert.rejects(sent, /enough/)
  })
})

describe('mistakes of a program', () => {
  it('are said at once', async () => {
    await using tpm = await createTpm()
    assert.throws(() => tpm.on(undefined as never, () => 0), TypeError)
    assert.throws(() => tpm.on('*', undefined as never), TypeError)
    assert.throws(() => pieces(0), RangeError)
    await assert.rejects(tpm.send(GET_RANDOM_8, { locality: -1 }), RangeError)
  })

  it('in a function that is waited by are told to who waits, and commands go on', async () => {
    await using tpm = await createTpm()
    const wrong = tpm.next(() => assert.fail('wrong'))
    const told = assert.rejects(wrong, /wrong/)
    assert.equal((await tpm.send(GET_RANDOM_8)).text, 'SUCCESS')
    await told
  })
})
