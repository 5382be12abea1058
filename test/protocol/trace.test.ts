/** What `--trace` writes of a TPM's life, and what `swtpm trace` makes of its other records. */
import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { startScriptedTpm } from '../support/script-socket.ts'
import { bin, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { tool } from '../support/tools.ts'
import { TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const START = ['--tpm2', '--flags', 'startup-clear']
const READ_CLOCK = Buffer.from('80010000000a00000181', 'hex')
const PASSWORD = 'planted-password'
/** TPM2_HierarchyChangeAuth of the owner to PASSWORD. */
const CHANGE_AUTH = Buffer.from(
  `80020000002d0000012940000001000000094000000900000000000010${Buffer.from(PASSWORD).toString('hex')}`,
  'hex',
)

/** Without the times, and the blanks between the columns. */
const untimed = (text: string): string[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^ *\d+\.\d{3} +(?:[\d.]+ m?s +)?/, '').replaceAll(/ {2,}/g, ' '))

async function useTpm(dataPath: string, controlPath: string): Promise<void> {
  const control = await RawConnection.open(controlPath)
  const data = await RawConnection.open(dataPath)
  await data.exchange(TPM2.getRandom())
  control.write(`${CMD.SET_LOCALITY} 03000000`)
  assert.equal((await control.read(4)).readUInt32BE(), 0)
  await data.exchange(CHANGE_AUTH)
  data.close()
  control.close()
}

const LINES = [
  /^Startup startupType CLEAR → SUCCESS$/,
  /^GetRandom bytesRequested \d+ → SUCCESS randomBytes [0-9a-f]+(…\(\d+\))?$/,
  /^locality 3 HierarchyChangeAuth authHandle owner auth\(pw\) newAuth <secret, 16 bytes> → SUCCESS$/,
  /^Shutdown shutdownType STATE → SUCCESS$/,
]

function assertLines(lines: readonly string[], expected: readonly RegExp[]): void {
  assert.equal(lines.length, expected.length, lines.join('\n'))
  for (const [index, pattern] of expected.entries()) assert.match(lines[index]!, pattern)
}

it('has each command with its response, from the first Startup to the last Shutdown', async (t) => {
  const path = join(temporaryDirectory(t), 'trace.txt')
  const { swtpm, controlPath, dataPath } = await startSocketTpm(t, [...START, '--trace', path])
  await useTpm(dataPath, controlPath)
  assert.equal(await swtpm.stop(), 0, swtpm.stderr)
  assertLines(untimed(readFileSync(path, 'utf8')), LINES)
  assert.equal(statSync(path).mode & 0o777, 0o640)
})

it('JSON, with secrets where they are asked for', async (t) => {
  const path = join(temporaryDirectory(t), 'trace.json')
  const { swtpm, controlPath, dataPath } = await startSocketTpm(t, [
    ...START,
    '--trace',
    `file=${path},json,secrets,mode=0600`,
  ])
  await useTpm(dataPath, controlPath)
  assert.equal(await swtpm.stop(), 0, swtpm.stderr)
  const exchanges = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual(
    exchanges.map(({ name, response }) => [name, response.text]),
    [
      ['Startup', 'SUCCESS'],
      ['GetRandom', 'SUCCESS'],
      ['HierarchyChangeAuth', 'SUCCESS'],
      ['Shutdown', 'SUCCESS'],
    ],
  )
  assert.equal(exchanges[2].parameters.newAuth, Buffer.from(PASSWORD).toString('hex'))
  assert.equal(exchanges[2].locality, 3)
  assert.equal(statSync(path).mode & 0o777, 0o600)
})

it('- is standard output, while it happens; what a fault does to a response is in it', async (t) => {
  const { swtpm, dataPath } = await startSocketTpm(t, [
    ...START,
    '--trace',
    '-',
    '--fault',
    'GetRandom: rc=RETRY',
  ])
  const data = await RawConnection.open(dataPath)
  await data.exchange(TPM2.getRandom())
  await waitFor(() => /GetRandom .*→ RETRY \(0x922\)/.test(swtpm.stdout), { what: 'the line' })
  data.close()
  assert.equal(await swtpm.stop(), 0, swtpm.stderr)
})

it('a trace that cannot be opened ends the start', async (t) => {
  const path = join(temporaryDirectory(t), 'none', 'trace')
  const swtpm = new Swtpm([
    'socket',
    ...['--tpm2', '--tpmstate', `dir=${temporaryDirectory(t)}`],
    ...['--server', `type=unixio,path=${join(temporaryDirectory(t), 'data')}`, '--trace', path],
  ])
  assert.equal(await swtpm.exited, 1)
  assert.match(swtpm.stderr, /Cannot open the trace ".*none\/trace": No such file or directory/i)
})

it('swtpm trace reads the pcapng file and the log of the same run, and finds the same', async (t) => {
  const directory = temporaryDirectory(t)
  const [pcap, log] = [join(directory, 'trace.pcapng'), join(directory, 'log')]
  const { swtpm, controlPath, dataPath } = await startSocketTpm(t, [
    ...START,
    ...['--pcap', `file=${pcap}`, '--log', `level=20,file=${log}`],
  ])
  await useTpm(dataPath, controlPath)
  assert.equal(await swtpm.stop(), 0, swtpm.stderr)
  // Neither of them has localities.
  const expected = LINES.map((pattern) => new RegExp(pattern.source.replace('locality 3 ', '')))
  assertLines(untimed(await tool(bin('swtpm'), ['trace', pcap])), expected)
  assertLines(untimed(await tool(bin('swtpm'), ['trace', log])), expected)
})

it('swtpm trace --follow watches a TPM that is served, and ends with it', async (t) => {
  const { swtpm, data, scriptPath } = await startScriptedTpm(t)
  const trace = new Swtpm(['trace', '--follow', scriptPath, '--grep', 'GetRandom'])
  t.after(() => trace.stop('SIGKILL'))
  // It says nothing when it begins.
  await waitFor(
    async () => {
      await data.exchange(TPM2.pcrRead(0))
      await data.exchange(TPM2.getRandom())
      return trace.stdout.includes('\n')
    },
    { what: 'a line' },
  )
  assert.equal(await swtpm.stop(), 0, swtpm.stderr)
  assert.equal(await trace.exited, 0, trace.stderr)
  for (const line of untimed(trace.stdout)) assert.match(line, LINES[1]!)
})

it('swtpm trace --follow says what is wrong', async (t) => {
  const { scriptPath } = await startScriptedTpm(t)
  const said = async (...args: string[]): Promise<string> => {
    const trace = new Swtpm(['trace', ...args])
    assert.equal(await trace.exited, 1)
    return trace.stderr
  }
  assert.match(
    await said('--follow', scriptPath, '--grep', 'GetRandm'),
    /Cannot use --grep: column 1: no command "GetRandm"; did you mean GetRandom/,
  )
  assert.match(await said('--follow', '/none'), /Cannot connect to "\/none": no such file or directory/)
  assert.match(await said('--follow', scriptPath, 'file'), /Either FILE or --follow: what is "file"\?/)
})

describe('a fault that has struck', () => {
  const RETRY = 'fault 1 "GetRandom#1: rc=RETRY"'
  const LOST = 'fault 2 "GetRandom#2: delay=1ms, drop"'

  it('is named by each record of the TPM', async (t) => {
    const directory = temporaryDirectory(t)
    const file = (name: string) => join(directory, name)
    const { swtpm, data, scriptPath } = await startScriptedTpm(t, [
      ...['--fault', 'GetRandom#1: rc=RETRY', '--fault', 'GetRandom#2: delay=1ms, drop'],
      ...['--trace', file('trace'), '--record', file('rec.tpmrec'), '--pcap', `file=${file('cap.pcapng')}`],
    ])
    const followed = new Swtpm(['trace', '--follow', scriptPath])
    t.after(() => followed.stop('SIGKILL'))
    // The first that it tells of has been sent after it began.
    await waitFor(
      async () => {
        await data.exchange(READ_CLOCK)
        return followed.stdout !== ''
      },
      { what: 'swtpm trace --follow' },
    )
    await data.exchange(TPM2.getRandom())
    data.write(TPM2.getRandom())
    await waitFor(() => /"GetRandom#2.*struck/.test(swtpm.stderr), { what: 'the second strike' })
    await data.exchange(READ_CLOCK)
    data.close()
    await waitFor(() => followed.stdout.includes('GetRandom#2'), { what: 'its last line' })
    await followed.stop()
    assert.equal(await swtpm.stop(), 0, swtpm.stderr)
    const struck = (text: string) => untimed(text).filter((line) => line.startsWith('GetRandom'))
    const expected = [
      new RegExp(`^GetRandom bytesRequested \\d+ → RETRY \\(0x922\\) ${escaped(RETRY)}$`),
      new RegExp(`^GetRandom bytesRequested \\d+ → no response ${escaped(LOST)}$`),
    ]
    const traces = {
      trace: readFileSync(file('trace'), 'utf8'),
      recording: await tool(bin('swtpm'), ['trace', file('rec.tpmrec')]),
      pcapng: await tool(bin('swtpm'), ['trace', file('cap.pcapng')]),
      follow: followed.stdout,
    }
    for (const [name, text] of Object.entries(traces)) {
      assert.equal(struck(text).length, 2, `${name}: ${text}`)
      for (const [at, line] of struck(text).entries()) assert.match(line, expected[at]!, name)
      assert.equal(text.split('fault').length, 3, `${name} names it nowhere else`)
    }
    const json = await tool(bin('swtpm'), ['trace', '--json', file('rec.tpmrec')])
    assert.deepEqual(
      json
        .trimEnd()
        .split('\n')
        .flatMap((line) => JSON.parse(line).faults ?? []),
      [RETRY, LOST],
    )
  })
})

const escaped = (text: string): string => text.replaceAll(/[#"]/g, '\\$&')
