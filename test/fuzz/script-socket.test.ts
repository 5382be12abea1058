/**
 * Lines to the script socket: whole, cut, mutated, glued; from clients that go away in the middle, beside a data client. Each whole
 * line that wants an answer gets one, no command of the data client is left unanswered once they are gone, and the next client is served.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RawConnection } from '../support/raw-connection.ts'
import { ScriptConnection, startScriptedTpm } from '../support/script-socket.ts'
import { TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { mutate, type Random } from './random.ts'
import { fuzz, settled } from './rounds.ts'

const CLIENTS_PER_ROUND = 12
const LINES_PER_CLIENT = 20

/** Nothing here waits for ever, or takes the TPM away. */
const EFFECTS = [
  ...['rc=RETRY', 'delay=1ms', 'late=1ms', 'truncate=10', 'shorten=11', 'append=3', 'size=+1', 'tag=00c4'],
  ...[
    'flip=random',
    'set=randomBytes.size:+1',
    'previous',
    'pieces=3',
    'double',
    'respond=00',
    'forget=sessions',
  ],
]
const WHENS = [
  '*',
  'GetRandom',
  'GetRandom#1',
  'PCR_Read/2',
  '*%50',
  '*[locality=0]',
  'GetRandom[size>1]',
  'x=*[from=client]',
]

/** One that is well-formed, more or less. */
function anyRequest(random: Random): object {
  const when = random.pick(WHENS)
  const n = random.below(60)
  const hex = random.bytes(1 + random.below(40)).toString('hex')
  return random.pick<() => object>([
    () => ({ fault: `${when}: ${random.pick(EFFECTS)}`, id: n }),
    () => ({ list: true }),
    () => ({ remove: n }),
    () => ({ clear: true }),
    () => ({ wait: n, timeout: 0 }),
    () => ({ watch: when }),
    () => ({ take: when }),
    () => ({ stop: 1 + random.below(3) }),
    () => ({ n, response: hex }),
    () => ({ n, effects: random.pick(EFFECTS) }),
    () => ({ n, pass: true }),
    () => ({ n, command: hex }),
  ])()
}

async function misbehave(random: Random, path: string): Promise<void> {
  const client = await RawConnection.open(path)
  const lines = Array.from({ length: LINES_PER_CLIENT }, () => {
    const line = Buffer.from(`${JSON.stringify(anyRequest(random))}\n`)
    return random.chance(0.3) ? mutate(random, line) : line
  })
  const all = Buffer.concat(lines)
  for (let at = 0; at < all.length; ) {
    const next = at + 1 + random.below(all.length)
    client.write(all.subarray(at, next))
    at = next
  }
  if (random.chance(0.5)) return client.close()
  // It takes nothing more, and what it has asked is answered.
  client.socket.end()
  const told = await settled('the answers', client.readToEnd())
  for (const line of told.toString().split('\n').slice(0, -1)) {
    const value = JSON.parse(line)
    assert.ok(
      ['ok', 'error', 'take', 'watch', 'n'].some((key) => key in value),
      line,
    )
  }
  client.close()
}

describe('the script socket', () => {
  it('is served on, and holds no command, whatever its clients send', async (t) => {
    const rounds = await fuzz(4, async (random, cleanup) => {
      const { scriptPath, dataPath, swtpm, data: first } = await startScriptedTpm(cleanup)
      // One connection is served at a time.
      let data = first
      data.close()
      let busy = true
      const traffic = (async () => {
        while (busy) {
          data = await RawConnection.open(dataPath)
          data.write(random.chance(0.5) ? TPM2.getRandom() : TPM2.pcrRead(0))
          // Whatever it is.
          await data.read(1).catch(() => {})
          data.close()
        }
      })()
      await settled(
        'the clients',
        Promise.all(Array.from({ length: CLIENTS_PER_ROUND }, () => misbehave(random, scriptPath))),
      )
      busy = false
      const last = await ScriptConnection.open(scriptPath)
      // What those that are gone have sent may still be read, and be rules.
      await settled('an answer', last.ask({ clear: true }))
      data.close()
      await settled('the data client', traffic)
      const next = await RawConnection.open(dataPath)
      await waitFor(
        async () => {
          await settled('an answer', last.ask({ clear: true }))
          next.write(TPM2.getRandom())
          await settled('an answer', last.ask({ list: true }))
          const received = await next.read(next.unread)
          return received.subarray(-20).toString('hex').startsWith('80010000001400000000')
        },
        { what: 'a TPM that is well' },
      )
      next.close()
      last.close()
      assert.equal(await swtpm.stop(), 0)
      assert.doesNotMatch(swtpm.stderr, /internal error|please report/i)
    })
    t.diagnostic(`${rounds} rounds`)
  })
})
