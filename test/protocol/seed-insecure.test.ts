/** `--seed-insecure`: two runs do the same, byte for byte; a TPM that has secrets is not touched. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { startFleet } from '../support/fleet.ts'
import { enginePid, nextEngine } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { bin, type SocketTpm, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { TPM2, tpm2 } from '../support/tpm-commands.ts'

const READ_CLOCK = tpm2(0x181)
const START_SESSION = tpm2(0x176, ['40000007 40000007', 16, Buffer.alloc(16, 7), 0, '00 0010 000b'])
const FIRST_OBJECT = 0x80000000

const seeded = (t: TestContext, seed: number, args: readonly string[] = [], directory?: string) =>
  startSocketTpm(
    t,
    ['--tpm2', '--flags', 'startup-clear', '--seed-insecure', String(seed), ...args],
    directory === undefined ? {} : { directory },
  )

/** Another one has taken over when this returns. */
async function killEngine(swtpm: Swtpm): Promise<void> {
  const engine = await enginePid(swtpm.pid)
  process.kill(engine, 'SIGKILL')
  await nextEngine(swtpm.pid, engine)
}

/** What a TPM answers to the same commands, each by a name. */
async function answers(t: TestContext, seed: number): Promise<Map<string, string>> {
  const { dataPath, swtpm } = await seeded(t, seed)
  let client = await TpmClient.open(dataPath)
  const found = new Map<string, string>()
  const ask = async (name: string, command: Buffer): Promise<void> => {
    found.set(name, (await client.succeed(command, name)).toString('hex'))
  }
  await ask('random numbers', TPM2.getRandom(48))
  await ask('the clock', READ_CLOCK)
  await ask('an RSA primary key', TPM2.createPrimaryRsa(2048, Buffer.alloc(0)))
  await ask('an ECC primary key', TPM2.createPrimaryEcc)
  await ask('an RSA key that libcrypto makes', TPM2.createRsa(FIRST_OBJECT, 2048))
  await ask('a session', START_SESSION)
  await ask('the clock later', READ_CLOCK)
  await killEngine(swtpm)
  client = await TpmClient.open(dataPath)
  await ask('random numbers of the next engine', TPM2.getRandom(48))
  await ask('the clock of the next engine', READ_CLOCK)
  await swtpm.stop()
  return found
}

suite('--seed-insecure', () => {
  test('two runs with the same number agree, whatever is asked; one with another number does not', async (t) => {
    const [first, second, other] = [await answers(t, 1), await answers(t, 1), await answers(t, 2)]
    for (const [name, answer] of first) assert.equal(second.get(name), answer, name)
    for (const name of ['random numbers', 'an RSA primary key', 'an ECC primary key', 'a session'])
      assert.notEqual(other.get(name), first.get(name), name)
  })

  test('an engine that takes over repeats no random number', async (t) => {
    const { dataPath, swtpm } = await seeded(t, 1)
    const seen = new Set<string>()
    for (let engine = 0; engine < 3; engine++) {
      const client = await TpmClient.open(dataPath)
      for (let i = 0; i < 8; i++) {
        const random = (await client.succeed(TPM2.getRandom(16))).toString('hex')
        assert.ok(!seen.has(random), `engine ${engine + 1} gives ${random} again`)
        seen.add(random)
      }
      await killEngine(swtpm)
    }
  })

  test('the clock goes on by a millisecond with each command', async (t) => {
    const { dataPath } = await seeded(t, 1)
    const client = await TpmClient.open(dataPath)
    const time = async () => (await client.succeed(READ_CLOCK)).readBigUInt64BE(10)
    const before = await time()
    await client.succeed(TPM2.getRandom())
    assert.equal(await time(), before + 2n)
  })

  test('it is said at the start, and in every line of the log', async (t) => {
    const { swtpm } = await seeded(t, 7)
    assert.match(swtpm.stderr, /^swtpm: insecure seed 7: This TPM keeps no secrets: .*--seed-insecure 7/m)
    await swtpm.stop()
    for (const line of swtpm.stderr.trim().split('\n')) assert.match(line, /^swtpm: insecure seed 7: /)
  })

  test('in a fleet it is said in the list, and in the lines about that TPM', async (t) => {
    const fleet = await startFleet(t)
    const directory = temporaryDirectory(t)
    const words = ['socket', '--tpm2', '--seed-insecure', '7', '--tpmstate', `dir=${directory}`]
    const added = await fleet.run(
      'add',
      'a',
      '--',
      ...words,
      '--ctrl',
      `type=unixio,path=${directory}/control`,
    )
    assert.equal(added.code, 0, added.stderr)
    assert.match((await fleet.run('list')).stdout, /^a .*\(insecure seed 7\)$/m)
    assert.equal((await fleet.run('remove', 'a')).code, 0)
    assert.match(fleet.swtpm.stderr, /^swtpm: a: insecure seed 7: This TPM keeps no secrets/m)
    assert.match(fleet.swtpm.stderr, /^swtpm: a: insecure seed 7: It has ended/m)
  })

  test('--print-info says it', async (t) => {
    const directory = temporaryDirectory(t)
    const words = ['socket', '--tpm2', '--seed-insecure', '7', '--print-info', '1']
    for (const state of [[], ['--tpmstate', `dir=${directory}`]]) {
      const swtpm = new Swtpm([...words, ...state])
      assert.equal(await swtpm.exited, 0, swtpm.stderr)
      assert.equal(JSON.parse(swtpm.stdout).SeedInsecure, 7)
    }
  })
})

suite('--seed-insecure and a TPM that exists', () => {
  const refused = async (state: string, seed: readonly string[]): Promise<string> => {
    const swtpm = new Swtpm(['socket', '--tpm2', '--tpmstate', state, '--ctrl', 'type=tcp,port=1', ...seed])
    assert.notEqual(await swtpm.exited, 0)
    return swtpm.stderr
  }

  const madeAndStopped = async ({ dataPath, swtpm }: SocketTpm): Promise<void> => {
    await (await TpmClient.open(dataPath)).succeed(TPM2.getRandom())
    assert.equal(await swtpm.stop(), 0)
  }

  test('a TPM goes on with its own number alone, and never without', async (t) => {
    const directory = temporaryDirectory(t)
    const first = await seeded(t, 1, [], directory)
    await madeAndStopped(first)
    assert.match(
      await refused(`dir=${directory}`, []),
      /was made with --seed-insecure 1, and its keys are no secret/,
    )
    assert.match(
      await refused(`dir=${directory}`, ['--seed-insecure', '2']),
      /was made with --seed-insecure 1; give that number/,
    )
    const again = await seeded(t, 1, [], directory)
    assert.equal(await again.swtpm.stop(), 0)
  })

  test('one that was made without stays as it is', async (t) => {
    const directory = temporaryDirectory(t)
    await madeAndStopped(await startSocketTpm(t, ['--tpm2', '--flags', 'startup-clear'], { directory }))
    assert.match(
      await refused(`dir=${directory}`, ['--seed-insecure', '1']),
      /was made without --seed-insecure/,
    )
  })

  test('swtpm_setup makes the same TPM twice, marked; another one in its place is not', async (t) => {
    const setUp = async (directory: string, ...args: readonly string[]): Promise<void> => {
      const words = ['--tpm2', '--tpmstate', directory, ...args]
      const setup = new Swtpm(words, { program: bin('swtpm_setup') })
      assert.equal(await setup.exited, 0, setup.stderr)
    }
    const [one, two] = [temporaryDirectory(t), temporaryDirectory(t)]
    const seed = ['--tpm', `${bin('swtpm')} socket --seed-insecure 4`]
    for (const directory of [one, two]) await setUp(directory, '--createek', ...seed)
    const permanent = (directory: string) => readFileSync(join(directory, 'tpm2-00.permall'))
    assert.deepEqual(permanent(one), permanent(two))
    assert.match(await refused(`dir=${one}`, []), /was made with --seed-insecure 4/)
    await setUp(one, '--overwrite')
    assert.deepEqual(readdirSync(one).sort(), ['.lock', 'tpm2-00.permall'])
    await setUp(two, '--reconfigure', '--pcr-banks', 'sha384', ...seed)
    assert.ok(readdirSync(two).includes('insecure-seed'))
  })

  test('no state comes in: by SET_STATEBLOB, by migration, from a file', async (t) => {
    const { controlPath, swtpm } = await seeded(t, 1)
    const control = await RawConnection.open(controlPath)
    control.write(CMD.STOP)
    assert.equal((await control.read(4)).readUInt32BE(0), 0)
    control.write(`${CMD.SET_STATEBLOB} 00000000 00000001 00000004 deadbeef`)
    assert.equal((await control.read(4)).toString('hex'), '0000000a')
    await swtpm.until(
      () => /SET_STATEBLOB is refused: with --seed-insecure/.test(swtpm.stderr),
      'the log says so',
    )
    const directory = temporaryDirectory(t)
    const incoming = ['--seed-insecure', '1', '--migration', 'incoming']
    assert.match(
      await refused(`dir=${directory}`, incoming),
      /--seed-insecure: a TPM that comes from elsewhere/,
    )
    assert.match(
      await refused(`backend-uri=file://${directory}/linear`, ['--seed-insecure', '1']),
      /--seed-insecure: a state file cannot be marked/,
    )
  })
})
