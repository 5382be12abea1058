/** Exchanges from each kind of file, in pieces of any length. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { exchangesFrom } from '../../../src/recordings/exchanges.ts'
import { recordingLine } from '../../../src/recordings/tpmrec.ts'
import { PcapFile } from '../../../src/serve/trace/pcap-file.ts'
import type { TracedExchange } from '../../../src/tpm-structures/exchange-text.ts'

const STARTUP = '80010000000c000001440000'
const SUCCESS = '80010000000a00000000'
const GET_RANDOM = '80010000000c0000017b0010'
const RANDOM = `80010000001c000000000010${'ab'.repeat(16)}`

async function read(
  bytes: Buffer | string,
  piece = 1 << 20,
): Promise<{ exchanges: string[][]; all: TracedExchange[]; notes: string[] }> {
  const whole = Buffer.from(bytes as string)
  async function* pieces() {
    for (let at = 0; at < whole.length; at += piece) yield whole.subarray(at, at + piece)
  }
  const notes: string[] = []
  const all: TracedExchange[] = []
  for await (const exchange of exchangesFrom(pieces(), (note) => notes.push(note))) all.push(exchange)
  const text = (part: Uint8Array | undefined) =>
    part === undefined ? 'none' : Buffer.from(part).toString('hex')
  return { exchanges: all.map(({ command, response }) => [text(command), text(response)]), all, notes }
}

const BOTH = [
  [STARTUP, SUCCESS],
  [GET_RANDOM, RANDOM],
]

test('hex digits: a command, its response; or marks', async () => {
  assert.deepEqual(
    (await read(`${STARTUP}\n${SUCCESS}\n\n# remark\n${GET_RANDOM}\n${RANDOM}`)).exchanges,
    BOTH,
  )
  assert.deepEqual(
    (await read(`> ${STARTUP}\n> ${GET_RANDOM}\n< 80 01 00 00 00 0a 00 00 09 22\n`)).exchanges,
    [
      [STARTUP, 'none'],
      [GET_RANDOM, '80010000000a00000922'],
    ],
  )
  // No response is that long without success: the command before was not answered.
  assert.deepEqual((await read(`${STARTUP}\n${GET_RANDOM}\n${RANDOM}\n`)).exchanges, [
    [STARTUP, 'none'],
    BOTH[1],
  ])
  assert.deepEqual((await read('hello\n')).notes, [
    'line 1 is neither hex digits nor anything else that is known',
  ])
})

const dump = (title: string, hex: string): string[] => {
  const bytes = hex.toUpperCase().match(/../g)!
  const lines = [`${title} length ${bytes.length}`]
  for (let at = 0; at < bytes.length; at += 16) lines.push(`${bytes.slice(at, at + 16).join(' ')} `)
  return lines
}
const LOG = [
  ...dump('SWTPM_IO_Read:', STARTUP),
  'Data client disconnected',
  ...dump('SWTPM_IO_Write:', SUCCESS),
  ...dump('SWTPM_IO_Read:', GET_RANDOM),
  ' TPM2_Something: is going on',
  ...dump('SWTPM_IO_Write:', RANDOM),
]

test('a log at level 20, with a prefix and with other lines between', async () => {
  for (const prefix of ['', ' ', 'swtpm: ', '2026-11-27 02:00:00 web: '])
    assert.deepEqual((await read(LOG.map((line) => `${prefix}${line}\n`).join(''))).exchanges, BOTH, prefix)
})

test('a log in JSON has times', async () => {
  const lines = LOG.map((msg, at) => `${JSON.stringify({ level: 20, time: 1000 * at, verbosity: 2, msg })}\n`)
  const { exchanges, all } = await read(lines.join(''))
  assert.deepEqual(exchanges, BOTH)
  assert.deepEqual(
    all.map(({ at, duration }) => [at, duration]),
    [
      [0, 3],
      [5, 4],
    ],
  )
})

test('a recording; and one written by recordingLine()', async () => {
  const header = '{"tpmrec":1,"version":"2","source":"/dev/tpm0"}\n'
  const line = `{"t":1.25,"l":4,"c":"${GET_RANDOM}","r":"${RANDOM}","d":0.5}\n`
  const { all, exchanges, notes } = await read(`${header}${line}{"c":"80"}\n{"c":"8x"}\n{]\n`)
  assert.deepEqual(exchanges, [
    [GET_RANDOM, RANDOM],
    ['80', 'none'],
  ])
  assert.deepEqual(notes, ['line 4: "c" must be the command in hex digits', 'line 5 is no JSON'])
  assert.deepEqual([all[0]?.at, all[0]?.duration, all[0]?.locality], [1.25, 0.5, 4])
  assert.equal(recordingLine(all[0]!), line)
})

test('what a script socket tells who watches', async () => {
  const line = `{"watch":1,"n":7,"name":"GetRandom","locality":2,"command":"${GET_RANDOM}","response":"${RANDOM}","code":"SUCCESS","atMs":1250,"ms":0.5}\n`
  const mute = `{"watch":1,"n":8,"command":"${STARTUP}","response":"","atMs":1300,"ms":9}\n`
  const { all, exchanges, notes } = await read(`${line}${mute}{"watch":1,"dropped":3}\n`)
  assert.deepEqual(exchanges, [
    [GET_RANDOM, RANDOM],
    [STARTUP, 'none'],
  ])
  assert.deepEqual([all[0]?.at, all[0]?.duration, all[0]?.locality], [1.25, 0.0005, 2])
  assert.deepEqual(notes, ['line 3: 3 exchanges are missing: they came faster than they were read'])
})

/** A segment of TCP in IPv4, by Ethernet. */
function frame(from: number, to: number, hex: string): Buffer {
  const payload = Buffer.from(hex, 'hex')
  const bytes = Buffer.alloc(14 + 20 + 20)
  bytes.writeUInt16BE(0x0800, 12)
  bytes[14] = 0x45
  bytes.writeUInt16BE(40 + payload.length, 16)
  bytes[23] = 6
  bytes.writeUInt16BE(from, 34)
  bytes.writeUInt16BE(to, 36)
  bytes[46] = 0x50
  return Buffer.concat([bytes, payload])
}

function pcap(frames: readonly (readonly [atMs: number, frame: Buffer])[]): Buffer {
  const header = Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex')
  const packets = frames.map(([atMs, bytes]) => {
    const before = Buffer.alloc(16)
    before.writeUInt32LE(1_700_000_000)
    before.writeUInt32LE(1000 * atMs, 4)
    before.writeUInt32LE(bytes.length, 8)
    before.writeUInt32LE(bytes.length, 12)
    return Buffer.concat([before, bytes])
  })
  return Buffer.concat([header, ...packets])
}

test('a pcap file of tcpdump: messages in pieces, several at once, other traffic', async () => {
  const file = pcap([
    [0, frame(5000, 2321, STARTUP.slice(0, 8))],
    [1, frame(5000, 80, 'deadbeef')],
    [2, frame(5000, 2321, STARTUP.slice(8))],
    [5, frame(2321, 5000, SUCCESS)],
    [6, frame(5000, 2321, GET_RANDOM)],
    [9, frame(2321, 5000, RANDOM.slice(0, 20))],
    [10, frame(2321, 5000, RANDOM.slice(20))],
  ])
  for (const piece of [1, 7, 1 << 20]) {
    const { all, exchanges, notes } = await read(file, piece)
    assert.deepEqual([exchanges, notes], [BOTH, []])
    assert.deepEqual(
      all.map(({ at, duration }) => [at?.toFixed(3), duration?.toFixed(3)]),
      [
        ['0.000', '0.003'],
        ['0.004', '0.004'],
      ],
    )
  }
  assert.deepEqual((await read(file.subarray(0, -3))).notes, ['the pcap file ends within a packet'])
})

test("a conversation in the simulator's frames has localities", async () => {
  const command = (locality: string, hex: string) =>
    `00000008${locality}${(hex.length / 2).toString(16).padStart(8, '0')}${hex}`
  const response = (hex: string) => `${(hex.length / 2).toString(16).padStart(8, '0')}${hex}00000000`
  const { all, exchanges } = await read(
    pcap([
      [0, frame(5000, 2321, command('00', STARTUP))],
      [1, frame(2321, 5000, response(SUCCESS))],
      [2, frame(5000, 2321, command('03', GET_RANDOM))],
      [3, frame(2321, 5000, response(RANDOM))],
    ]),
  )
  assert.deepEqual(exchanges, BOTH)
  assert.deepEqual(
    all.map(({ locality }) => locality),
    [0, 3],
  )
})

test('the pcapng file that --pcap writes, in pieces of any length', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'recordings-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'trace.pcapng')
  const file = new PcapFile({
    destination: { kind: 'file', path },
    mode: 0o600,
    truncate: true,
    checksums: false,
  })
  const bytes = (hex: string) => Buffer.from(hex, 'hex')
  file.record('command', 1_700_000_000_000_000n, bytes(STARTUP))
  file.record('response', 1_700_000_000_250_000n, bytes(SUCCESS))
  file.record('command', 1_700_000_001_000_000n, bytes(GET_RANDOM))
  file.record('response', 1_700_000_001_000_500n, bytes(RANDOM))
  file.close()
  const whole = readFileSync(path)
  for (const piece of [1, 3, 64, 1 << 20]) {
    const { all, exchanges, notes } = await read(whole, piece)
    assert.deepEqual([exchanges, notes], [BOTH, []], `pieces of ${piece} bytes`)
    assert.deepEqual(
      all.map(({ at, duration }) => [at?.toFixed(6), duration?.toFixed(6)]),
      [
        ['0.000000', '0.250000'],
        ['1.000000', '0.000500'],
      ],
    )
  }
  assert.deepEqual((await read(whole.subarray(0, -5))).notes, ['the pcapng file ends within a block'])
})
