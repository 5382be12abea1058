/** `--mode`: each, as a client of a Unix socket meets it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { MODES } from '../../src/responders/modes/mode-table.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Cleanup, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { handlesIn, hex32, responseCode, TPM2, TPM12, tpm2 } from '../support/tpm-commands.ts'

interface Mode {
  readonly client: TpmClient
  /** The response code. */
  code(command: Buffer): Promise<number>
}

async function start(t: Cleanup, modes: readonly string[], version: '2' | '1.2' = '2'): Promise<Mode> {
  const words = modes.flatMap((mode) => ['--mode', mode])
  const { dataPath } = await startSocketTpm(t, [
    ...(version === '2' ? ['--tpm2'] : []),
    ...['--flags', 'startup-clear', ...words],
  ])
  const data = await RawConnection.open(dataPath)
  t.after(() => data.close())
  const client = new TpmClient(data)
  return { client, code: async (command) => responseCode(await client.ask(command)) }
}

const RANDOM = TPM2.getRandom()
const SELF_TEST = tpm2(0x143, ['01'])
const GET_TEST_RESULT = tpm2(0x17c)
const getCapability = (capability: number, first: number, count: number): Buffer =>
  tpm2(0x17a, [hex32(capability), hex32(first), hex32(count)])
const readClock = tpm2(0x181)
const tried = new Set<string>()

/** One test of a mode. */
const mode = (
  name: string,
  words: string | readonly string[],
  test: (mode: Mode) => Promise<void>,
  version: '2' | '1.2' = '2',
): void => {
  tried.add(name)
  const modes = typeof words === 'string' ? [words] : words
  it(`${modes.join(', ')} (TPM ${version})`, async (t) => test(await start(t, modes, version)))
}

/** Of a list of properties: property → value. */
function properties(response: Buffer): Map<number, number> {
  const count = response.readUInt32BE(15)
  return new Map(
    Array.from({ length: count }, (_, at) => [
      response.readUInt32BE(19 + 8 * at),
      response.readUInt32BE(23 + 8 * at),
    ]),
  )
}
const property = async (client: TpmClient, number: number): Promise<number | undefined> =>
  properties(await client.succeed(getCapability(6, number, 1))).get(number)

describe('a TPM that refuses', () => {
  mode('field-upgrade', 'field-upgrade', async ({ code }) => {
    for (const command of [RANDOM, SELF_TEST, getCapability(6, 0x100, 1)])
      assert.equal(await code(command), 0x12d)
  })
  mode('field-upgrade', 'field-upgrade=infineon', async ({ client, code }) => {
    assert.equal(await code(SELF_TEST), 0)
    assert.equal(await code(RANDOM), 0x12d)
    const list = await client.succeed(getCapability(6, 0x129, 1))
    assert.equal(list.toString('hex'), '80010000001300000000000000000600000000')
  })
  mode('failure', 'failure', async ({ client, code }) => {
    assert.equal(await code(RANDOM), 0x101)
    assert.equal(await code(SELF_TEST), 0x101)
    assert.equal(
      (await client.succeed(GET_TEST_RESULT)).toString('hex'),
      '800100000010000000000000' + '00000101',
    )
    assert.equal(await code(getCapability(6, 0x100, 1)), 0)
  })
  mode('failure', 'failure', async ({ code }) => assert.equal(await code(TPM12.getRandom()), 0x1c), '1.2')
  mode('selftest', 'selftest=1000s', async ({ code }) => {
    assert.equal(await code(RANDOM), 0x90a)
    assert.equal(await code(SELF_TEST), 0x90a)
    assert.equal(await code(GET_TEST_RESULT), 0)
  })
  mode('selftest', 'selftest=1us', async ({ code }) => assert.equal(await code(RANDOM), 0))
  mode(
    'selftest',
    'selftest=1000s',
    async ({ code }) => assert.equal(await code(TPM12.getRandom()), 0x802),
    '1.2',
  )
})

describe('a TPM in a state', () => {
  mode('lockout', 'lockout', async ({ client, code }) => {
    const [LOCKOUT_COUNTER, MAX_AUTH_FAIL, PERMANENT] = [0x20e, 0x20f, 0x200]
    assert.equal(await property(client, LOCKOUT_COUNTER), 1)
    assert.equal(await property(client, MAX_AUTH_FAIL), 1)
    // inLockout
    assert.equal((((await property(client, PERMANENT)) as number) >> 9) & 1, 1)
    assert.deepEqual(handlesIn(await client.succeed(TPM2.getHandles(0x01000000))), [])
    assert.equal(await code(RANDOM), 0)
  })
  mode('nv-full', 'nv-full', async ({ client, code }) => {
    assert.equal(await code(TPM2.nvDefine()), 0x14b)
    const response = await client.succeed(TPM2.getHandles(0x01000000))
    assert.ok(handlesIn(response).length > 10)
  })
  mode('unowned', 'unowned', async ({ code }) => assert.equal(await code(RANDOM), 0))
  mode('unowned', 'unowned', async ({ code }) => assert.equal(await code(TPM12.getRandom()), 0), '1.2')
  mode('disabled', 'disabled', async ({ code }) => assert.equal(await code(TPM12.getRandom()), 7), '1.2')
  mode(
    'deactivated',
    'deactivated',
    async ({ code }) => {
      assert.equal(await code(TPM12.getRandom()), 6)
    },
    '1.2',
  )
  mode('banks', 'banks=sha384', async ({ client }) => {
    const banks = await client.succeed(getCapability(5, 0, 64))
    const active = banks.toString('hex').match(/(000[4bcd])03ffffff/g)
    assert.deepEqual(active, ['000c03ffffff'])
  })
})

describe('a TPM with less room', () => {
  mode('gap', 'gap=3', async ({ client, code }) => {
    const CONTEXT_GAP = 0x901
    const session = async (): Promise<number> =>
      (await client.succeed(TPM2.startPolicySession)).readUInt32BE(10)
    const save = (handle: number): Buffer => tpm2(0x162, [hex32(handle)])
    const load = (context: Buffer): Buffer => tpm2(0x161, [context.subarray(10)])
    const oldest = await client.succeed(save(await session()))
    let other = await session()
    for (let i = 0; i < 3; i++) {
      const context = await client.succeed(save(other))
      other = (await client.succeed(load(context))).readUInt32BE(10)
    }
    assert.equal(await code(save(other)), CONTEXT_GAP)
    await client.succeed(load(oldest))
    await client.succeed(save(other))
  })
  mode('slots', 'slots=1/2', async ({ client, code }) => {
    assert.equal(await property(client, 0x10e), 1)
    assert.equal(await property(client, 0x207), 1)
    const key = (await client.succeed(TPM2.createPrimaryEcc)).readUInt32BE(10)
    assert.equal(await property(client, 0x207), 0)
    assert.equal(await code(TPM2.createPrimaryEcc), 0x902)
    await client.succeed(TPM2.flushContext(key))
    await client.succeed(TPM2.createPrimaryEcc)
    await client.succeed(TPM2.startPolicySession)
    await client.succeed(TPM2.startPolicySession)
    assert.equal(await code(TPM2.startPolicySession), 0x903)
  })
  mode('buffers', 'buffers=1024', async ({ client, code }) => {
    assert.equal(await property(client, 0x11e), 1024)
    assert.equal(await property(client, 0x11f), 1024)
    const hash = (size: number): Buffer => tpm2(0x17d, [size, Buffer.alloc(size), '000b', '40000007'])
    assert.equal(await code(hash(1000)), 0)
    assert.equal(await code(hash(1010)), 0x142)
  })
  mode('no', ['no=GetTestResult', 'no=SHA384'], async ({ client, code }) => {
    assert.equal(await code(GET_TEST_RESULT), 0x143)
    const total = (await property(client, 0x129)) as number
    const commands = await client.succeed(getCapability(2, 0x11f, total))
    assert.equal(commands.readUInt32BE(15), total)
    assert.equal(commands[10], 0)
    const codes = Array.from({ length: total }, (_, at) => commands.readUInt32BE(19 + 4 * at) & 0xffff)
    assert.ok(codes.includes(0x17b) && !codes.includes(0x17c))
    const algs = await client.succeed(getCapability(0, 1, 100))
    assert.doesNotMatch(algs.toString('hex', 19), /^(.{12})*000c/)
    assert.match(algs.toString('hex', 19), /^(.{12})*000b/)
    assert.doesNotMatch((await client.succeed(getCapability(5, 0, 64))).toString('hex'), /000c03/)
    // Hash(data, hashAlg, hierarchy): the second parameter.
    assert.equal(await code(tpm2(0x17d, [1, '00', '000c', '40000007'])), 0x2c4)
    assert.equal(await code(tpm2(0x17d, [1, '00', '000b', '40000007'])), 0)
  })
})

describe('a TPM of another kind', () => {
  mode('clock-back', 'clock-back=1000s', async ({ client }) => {
    const clock = async (): Promise<bigint> => (await client.succeed(readClock)).readBigUInt64BE(18)
    const first = await clock()
    assert.ok((await clock()) < first || first < 1000n)
    assert.equal(await clock(), 0n)
  })
  mode('slow', 'slow=firmware', async ({ code }) => assert.equal(await code(RANDOM), 0))
})

it('each is tried here', () => {
  assert.deepEqual(
    Object.keys(MODES).filter((name) => !tried.has(name)),
    [],
  )
})

it('a mistake is found before anything is opened, and help prints what there is', async (t) => {
  const directory = temporaryDirectory(t)
  const run = async (...words: string[]): Promise<Swtpm> => {
    const swtpm = new Swtpm(['socket', '--tpmstate', `dir=${directory}`, '--port', '1', ...words])
    await swtpm.exited
    return swtpm
  }
  const wrong: [words: string[], error: RegExp][] = [
    [
      ['--tpm2', '--mode', 'lockot'],
      /there is no mode "lockot"; did you mean lockout\? Modes are field-upgrade/,
    ],
    [['--tpm2', '--mode', 'gap'], /gap takes a value: gap=N/],
    [['--tpm2', '--mode', 'gap=0'], /"0" is not a number from 1 to 65535/],
    [['--tpm2', '--mode', 'lockout=1'], /lockout takes no value/],
    [['--tpm2', '--mode', 'slots=1'], /write the room for objects and for sessions, such as 3\/3/],
    [['--tpm2', '--mode', 'no=SHA3842'], /neither a command nor an algorithm of TPM 2\.0/],
    [['--tpm2', '--mode', 'slow=fast'], /"fast" is not one of discrete, firmware, stutter/],
    [['--tpm2', '--mode', 'selftest=5'], /"5" is no time/],
    [['--tpm2', '--mode', 'banks=sha256 sha1'], /write the names of banks/],
    [['--mode', 'lockout'], /it is one of a TPM 2\.0; give --tpm2/],
    [['--tpm2', '--mode', 'disabled'], /it is one of a TPM 1\.2; leave --tpm2 out/],
    [['--tpm2', '--mode', 'lockout'], /waits for its INIT: give --flags startup-clear/],
    [
      ['--tpm2', '--flags', 'startup-clear', '--mode', 'banks=sha3_256'],
      /it has no bank of SHA3_256, but of sha1, sha256/,
    ],
  ]
  for (const [words, error] of wrong) {
    const swtpm = await run(...words)
    assert.match(swtpm.stderr, error)
    assert.equal(await swtpm.exited, 1)
  }
  const help = await run('--mode', 'help')
  assert.equal(await help.exited, 0)
  for (const name of Object.keys(MODES)) assert.match(help.stdout, new RegExp(`^ {2}${name}\\b`, 'm'))
})
