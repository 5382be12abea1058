/** Bytes of every kind to the decoder: always one line, whatever they are, and never a secret that had its place. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { exchangesFrom } from '../../src/recordings/exchanges.ts'
import { readRecordingLine } from '../../src/recordings/tpmrec.ts'
import { type CommandRow, commandsOf } from '../../src/tpm-structures/commands.ts'
import { decodeCommand } from '../../src/tpm-structures/decode-command.ts'
import { decodeResponse } from '../../src/tpm-structures/decode-response.ts'
import { exchangeJson, exchangeLine, type TracedExchange } from '../../src/tpm-structures/exchange-text.ts'
import { candidates, fieldPaths, setField } from '../../src/tpm-structures/locate.ts'
import { matchesParameter } from '../../src/tpm-structures/match.ts'
import { figure } from '../hard/support/scale.ts'
import { anyMessage } from '../support/any-message.ts'
import { projectRoot } from '../support/swtpm.ts'
import { EDGES, mutate, type Random } from './random.ts'
import { fuzz } from './rounds.ts'

const ROWS: readonly CommandRow[] = [...commandsOf('2'), ...commandsOf('1.2')]
const MESSAGES_PER_ROUND = 1000
/** The longest that is looked at, and one that is longer. */
const LONG = [0xffff, 0x10000, 0x10001, 0x20000]

const RECORDED: readonly TracedExchange[] = ['tpm2-tools', 'tpm12'].flatMap((name) =>
  readFileSync(join(projectRoot, `test/vectors/exchanges/${name}.tpmrec`), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => readRecordingLine(JSON.parse(line)) as TracedExchange),
)

function anyExchange(random: Random): TracedExchange {
  const at = { at: 0, duration: 0, locality: random.below(5) }
  switch (random.below(5)) {
    case 0: {
      const header = random.chance(0.5) ? withHeader(random) : Buffer.alloc(0)
      return { ...at, command: Buffer.concat([header, anyBytes(random)]), response: anyBytes(random) }
    }
    case 1: {
      const { command, response } = random.pick(RECORDED)
      return {
        ...at,
        command: mutate(random, Buffer.from(command)),
        response: response && mutate(random, Buffer.from(response)),
      }
    }
    case 2: {
      // Answered as another command would be.
      const { command } = random.pick(RECORDED)
      return { ...at, command, response: random.pick(RECORDED).response }
    }
    default: {
      const { command, response } = anyMessage(random, random.pick(ROWS))
      return { ...at, command: mutate(random, command.bytes), response: mutate(random, response.bytes) }
    }
  }
}

const anyBytes = (random: Random): Buffer =>
  random.bytes(random.chance(0.001) ? random.pick(LONG) : random.below(random.chance(0.1) ? 4097 : 64))

function withHeader(random: Random): Buffer {
  const header = Buffer.alloc(10)
  header.writeUInt16BE(random.pick([0x8001, 0x8002, 0xc1, 0xc2, 0xc3, 0xc4]))
  header.writeUInt32BE(random.pick(EDGES), 2)
  header.writeUInt32BE(random.pick(ROWS).code, 6)
  return header
}

function decode(random: Random, exchange: TracedExchange): void {
  const line = exchangeLine(exchange, { secrets: random.chance(0.5) })
  assert.ok(line.length > 0 && !line.includes('\n'))
  JSON.stringify(exchangeJson(exchange, { secrets: true }))
  if (!random.chance(0.1)) return
  const command = decodeCommand(exchange.command)
  const message = exchange.response === undefined ? command : decodeResponse(exchange.response, command)
  const path = random.pick([...fieldPaths(message).slice(0, 100), 'size', 'count', '', '..', '[0]', 'x[9].y'])
  matchesParameter(command, path, random.pick(['1', 'PCRS', '0x02000000/8', 'x', '', '0/99']))
  if (candidates(message, path).length !== 1) return
  try {
    setField(message, path, random.pick([random.pick(EDGES), random.bytes(random.below(40)), 'SHA256', '']))
  } catch (error) {
    // That the value is none for the field.
    assert.ok(error instanceof RangeError, String(error))
  }
}

describe('the decoder', () => {
  it('makes a line of whatever a command and a response are', async () => {
    const rounds = await fuzz(30, (random) => {
      for (let i = 0; i < MESSAGES_PER_ROUND; i++) {
        const exchange = anyExchange(random)
        try {
          decode(random, exchange)
        } catch (error) {
          const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex')
          throw new Error(`${hex(exchange.command)} ${hex(exchange.response)}: ${(error as Error).stack}`)
        }
      }
    })
    figure('Fuzzer: decoder', `${rounds * MESSAGES_PER_ROUND} exchanges: each gave a line`)
  })

  it('reads files of any kind to their end', async () => {
    const files = ['boot-6.1.tpmrec', 'tpm12.tpmrec'].map((name) =>
      readFileSync(join(projectRoot, 'test/vectors/exchanges', name)).subarray(0, 20_000),
    )
    const rounds = await fuzz(20, async (random) => {
      const file = mutate(random, random.chance(0.3) ? anyPcapng(random) : random.pick(files))
      async function* pieces() {
        for (let at = 0; at < file.length; ) {
          const end = at + 1 + random.below(4096)
          yield file.subarray(at, end)
          at = end
        }
      }
      for await (const exchange of exchangesFrom(pieces(), () => {})) decode(random, exchange)
    })
    figure('Fuzzer: recordings', `${rounds} files read`)
  })
})

/** A section, an interface, and packets of whatever. */
function anyPcapng(random: Random): Buffer {
  const block = (type: number, body: Buffer) => {
    const padded = Buffer.alloc(Math.ceil(body.length / 4) * 4)
    body.copy(padded)
    const frame = Buffer.alloc(8)
    frame.writeUInt32LE(type)
    frame.writeUInt32LE(padded.length + 12, 4)
    return Buffer.concat([frame, padded, frame.subarray(4)])
  }
  const section = Buffer.from('4d3c2b1a01000000ffffffffffffffff', 'hex')
  const packet = () => {
    const frame = Buffer.concat([
      Buffer.alloc(12),
      Buffer.from('08004500', 'hex'),
      anyBytes(random).subarray(0, 2000),
    ])
    const header = Buffer.alloc(20)
    header.writeUInt32LE(frame.length, 12)
    return block(6, Buffer.concat([header, frame]))
  }
  return Buffer.concat([
    block(0x0a0d0d0a, section),
    block(1, Buffer.from('0100000000000000', 'hex')),
    ...Array.from({ length: random.below(20) }, packet),
  ])
}
