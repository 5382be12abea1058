/** A recording that plays: which line answers which command. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Otherwise } from '../../../src/behind/config.ts'
import { Player } from '../../../src/behind/playing.ts'
import type { Recording } from '../../../src/recordings/recording.ts'
import { ANSWER, ScriptedTpm } from '../responders/support.ts'

const GET_RANDOM = '80010000000c0000017b0008'
const PCR_READ = '8001000000140000017e00000001000b03010000'
const PCR_READ_1 = '8001000000140000017e00000001000b03020000'
const SET_LOCALITY = '80020000000b2000100000'
const FAILURE = '80010000000a00000101'
/** A nonce of the client is in it, and so it is never the same. */
const startSession = (nonce: string): string =>
  `80010000003b000001764000000740000007${'0010'}${nonce.repeat(16)}0000000010000b`.replace(
    '0000003b',
    '0000002b',
  )
const response = (mark: string): string => `80010000000e00000000${mark.repeat(4)}`

function playing(
  lines: readonly (readonly [string, string | undefined])[],
  { otherwise = 'FAILURE' as Otherwise, fast = true, duration = 0 } = {},
) {
  const exchanges = lines.map(([command, answer]) => ({
    ...{ at: 0, duration, locality: 0 },
    command: Buffer.from(command, 'hex'),
    response: answer === undefined ? undefined : Buffer.from(answer, 'hex'),
  }))
  const recording: Recording = { path: 'r', header: undefined, version: '2', exchanges, auths: [] }
  const player = new Player(recording, { kind: 'recording', path: 'r', otherwise, fast })
  const tpm = new ScriptedTpm()
  let stopped = 0
  tpm.stack.on(
    '*',
    player.responder(() => stopped++),
    'behind',
  )
  const ask = (hex: string) => tpm.answer({ bytes: Buffer.from(hex, 'hex') })
  return { ask, tpm, stopped: () => stopped }
}

test('the same bytes: each response once and in order, the last one again', async () => {
  const { ask } = playing([
    [GET_RANDOM, response('01')],
    [PCR_READ, response('02')],
    [GET_RANDOM, response('03')],
  ])
  const said = [await ask(GET_RANDOM), await ask(GET_RANDOM), await ask(GET_RANDOM), await ask(PCR_READ)]
  assert.deepEqual(
    said,
    [response('01'), response('03'), response('03'), response('02')].map((hex) => `whole ${hex}`),
  )
})

test('without the same bytes the same parameters: what a client makes up anew does not count', async () => {
  const { ask } = playing([[startSession('aa'), response('01')]])
  assert.equal(await ask(startSession('bb')), `whole ${response('01')}`)
})

test('another parameter is another command', async () => {
  const { ask, tpm, stopped } = playing([[PCR_READ, response('01')]])
  assert.equal(await ask(PCR_READ_1), `whole ${FAILURE}`)
  assert.deepEqual(tpm.executed, [])
  assert.equal(stopped(), 0)
})

test('else=ours asks the TPM, else=stop ends it', async () => {
  const ours = playing([[PCR_READ, response('01')]], { otherwise: 'ours' })
  assert.equal(await ours.ask(GET_RANDOM), `whole ${ANSWER.toString('hex')}`)
  const stop = playing([[PCR_READ, response('01')]], { otherwise: 'stop' })
  assert.equal(await stop.ask(GET_RANDOM), 'silence')
  assert.equal(stop.stopped(), 1)
})

test('a command that was not answered is not answered', async () => {
  assert.equal(await playing([[GET_RANDOM, undefined]]).ask(GET_RANDOM), 'silence')
})

test('SetLocality of the proxy driver is for the engine', async () => {
  const { ask, tpm } = playing([[SET_LOCALITY, response('01')]])
  await ask(SET_LOCALITY)
  assert.deepEqual(tpm.executed, [SET_LOCALITY])
})

test('a response comes after the time of the recording, and not when its client has gone', async () => {
  const { tpm } = playing([[GET_RANDOM, response('01')]], { fast: false, duration: 3600 })
  const gone = new AbortController()
  const answer = tpm.answer({ bytes: Buffer.from(GET_RANDOM, 'hex'), signal: gone.signal })
  gone.abort('the client has gone')
  assert.equal(await answer, 'silence')
})
