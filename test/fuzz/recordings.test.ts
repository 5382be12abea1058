/** Recordings of anything, played and replayed: each command has an outcome, and nothing is thrown. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Player } from '../../src/behind/playing.ts'
import { replay } from '../../src/behind/replay/replay.ts'
import type { Recording } from '../../src/recordings/recording.ts'
import type { RecordingAuth } from '../../src/recordings/tpmrec.ts'
import { type CommandRow, commandByName, commandsOf } from '../../src/tpm-structures/commands.ts'
import type { TracedExchange } from '../../src/tpm-structures/exchange-text.ts'
import { anyMessage } from '../support/any-message.ts'
import { ScriptedTpm } from '../unit/responders/support.ts'
import { mutate, type Random } from './random.ts'
import { fuzz } from './rounds.ts'

const ROWS: readonly CommandRow[] = [...commandsOf('2'), ...commandsOf('1.2')]
/** On these depends what becomes of those behind them. */
const MAKERS = [
  'StartAuthSession',
  'CreatePrimary',
  'Create',
  'Load',
  'ContextSave',
  'ContextLoad',
  'PolicyAuthValue',
].map((name) => commandByName(name, '2') as CommandRow)
const EXCHANGES = 40
/** More asks for it again than this are a TPM that is busy, which is waited for. */
const AGAIN = ['00000922', '00000908', '0000090a', '00000800', '00000802']

function anyExchange(random: Random): TracedExchange {
  const { command, response } = anyMessage(random, random.pick(random.chance(0.5) ? MAKERS : ROWS))
  const damaged = (bytes: Buffer) => (random.chance(0.3) ? mutate(random, bytes) : bytes)
  return {
    ...{ at: 0, duration: 0, locality: random.chance(0.1) ? 3 : 0 },
    command: damaged(command.bytes),
    response: random.chance(0.05) ? undefined : damaged(response.bytes),
  }
}

function anyRecording(random: Random): Recording {
  const exchanges = Array.from({ length: EXCHANGES }, () => anyExchange(random))
  const auths: RecordingAuth[] = [
    { handle: random.chance(0.5) ? undefined : random.word(), value: random.bytes(4) },
  ]
  return { path: 'r', header: undefined, version: random.chance(0.8) ? '2' : '1.2', exchanges, auths }
}

describe('recordings of anything', () => {
  it('are replayed to a TPM that answers anything', async () => {
    await fuzz(60, async (random) => {
      const recording = anyRecording(random)
      let next = 0
      const target = {
        ...{ name: 'any', hasLocalities: random.chance(0.5) },
        async ask(): Promise<Buffer> {
          const { response } = recording.exchanges[next++ % EXCHANGES] as TracedExchange
          const bytes = random.chance(0.7)
            ? Buffer.from(response ?? [])
            : anyMessage(random, random.pick(ROWS)).response.bytes
          return AGAIN.includes(bytes.toString('hex', 6, 10)) ? Buffer.alloc(0) : bytes
        },
      }
      let outcomes = 0
      for await (const { number } of replay(recording, target)) assert.equal(number, ++outcomes)
      assert.equal(outcomes, EXCHANGES)
    })
  })

  it('are played to clients that ask anything', async () => {
    await fuzz(60, async (random) => {
      const recording = anyRecording(random)
      const player = new Player(recording, { kind: 'recording', path: 'r', otherwise: 'FAILURE', fast: true })
      const tpm = new ScriptedTpm()
      tpm.stack.on(
        '*',
        player.responder(() => {}),
        'behind',
      )
      for (const { command } of recording.exchanges) {
        const bytes = random.chance(0.8) ? Buffer.from(command) : mutate(random, Buffer.from(command))
        assert.match(await tpm.answer({ bytes }), /^(whole|silence)/)
      }
    })
  })
})
