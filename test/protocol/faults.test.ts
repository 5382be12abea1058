/** Every effect of `--fault` on a Unix socket: what its client sees, and what has become of the TPM. */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { describe, it } from 'node:test'
import { EFFECTS } from '../../src/responders/rules/effect-table.ts'
import { CMD } from '../support/control-commands.ts'
import { isListening } from '../support/listening.ts'
import { enginePid, nextEngine } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { startScriptedTpm } from '../support/script-socket.ts'
import { Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { handlesIn, responseCode, TPM2, TPM12 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const RANDOM = TPM2.getRandom()
const EXTEND = TPM2.pcrExtend(10, Buffer.alloc(32, 1))
const INITIALIZE = 0x100

/** What a client is sent for a PCR_Read of PCR 10, by effect; `whole` is what it is sent without. */
const bytes: [effects: string, sees: (whole: Buffer) => Buffer][] = [
  ['delay=20ms', (whole) => whole],
  ['delay=0ms..20ms', (whole) => whole],
  ['late=20ms', (whole) => whole],
  ['rc=RETRY', () => Buffer.from('80010000000a00000922', 'hex')],
  ['respond=c0ffee', () => Buffer.from('c0ffee', 'hex')],
  [`respond=${'5a'.repeat(5000)}`, () => Buffer.alloc(5000, 0x5a)],
  ['truncate=13', (whole) => whole.subarray(0, 13)],
  ['shorten=13', (whole) => Buffer.concat([Buffer.from('80010000000d', 'hex'), whole.subarray(6, 13)])],
  ['append=3', (whole) => Buffer.concat([whole, Buffer.alloc(3)])],
  ['size=0', (whole) => replaced(whole, 2, '00000000')],
  ['tag=00c4', (whole) => replaced(whole, 0, '00c4')],
  ['flip=0.7', (whole) => replaced(whole, 0, '0001')],
  ['set=pcrUpdateCounter:7', (whole) => replaced(whole, 10, '00000007')],
  ['double', (whole) => Buffer.concat([whole, whole])],
  ['pieces=5', (whole) => whole],
  ['pieces=7@5ms', (whole) => whole],
  ['forget=sessions', (whole) => whole],
]

const replaced = (whole: Buffer, at: number, hex: string): Buffer =>
  Buffer.concat([whole.subarray(0, at), Buffer.from(hex, 'hex'), whole.subarray(at + hex.length / 2)])

/** What is tried below in a test of its own. */
const APART = [
  ...['stall', 'previous', 'drop', 'mute', 'hangup', 'unplug', 'errno'],
  ...['crash', 'powercut', 'reset', 'forget'],
]

describe('what a client is sent', () => {
  it('by effect', async (t) => {
    const { data, script } = await startScriptedTpm(t)
    await data.exchange(EXTEND)
    const whole = await data.exchange(TPM2.pcrRead(10))
    for (const [effects, sees] of bytes) {
      const { ok } = await script.ask({ fault: `PCR_Read: ${effects}` })
      data.write(TPM2.pcrRead(10))
      const expected = sees(whole)
      assert.equal((await data.read(expected.length)).toString('hex'), expected.toString('hex'), effects)
      await script.ask({ remove: ok })
      // Nothing more comes: the next response is that of the next command.
      assert.equal((await data.exchange(RANDOM)).length, 20, effects)
    }
  })

  it('in this file is every effect', () => {
    const tried = [...bytes.map(([effects]) => effects.split('=')[0]), ...APART]
    assert.deepEqual(
      Object.keys(EFFECTS).filter((name) => !tried.includes(name)),
      [],
    )
  })

  it('previous: what the command before was given; flip=random: one bit is another', async (t) => {
    const { data, script } = await startScriptedTpm(t)
    await script.ask({ fault: 'PCR_Read: previous' })
    const random = await data.exchange(RANDOM)
    assert.deepEqual(await data.exchange(TPM2.pcrRead(0)), random)
    await script.ask({ clear: true })
    const pcr = await data.exchange(TPM2.pcrRead(0))
    await script.ask({ fault: 'PCR_Read: flip=random' })
    const flipped = await data.exchange(TPM2.pcrRead(0))
    const bits = [...pcr].map(
      (byte, at) => (byte ^ (flipped[at] as number)).toString(2).replaceAll('0', '').length,
    )
    assert.equal(
      bits.reduce((sum, ones) => sum + ones, 0),
      1,
    )
  })

  for (const effect of ['stall', 'drop', 'mute']) {
    it(`${effect}: nothing, and its next command is served`, async (t) => {
      const { data, script, dataPath } = await startScriptedTpm(t)
      const before = await counter(data)
      await script.ask({ fault: `PCR_Extend: ${effect}` })
      data.write(EXTEND)
      await script.ask({ wait: 1 })
      let next = data
      if (effect === 'stall') {
        // Until the client gives up.
        data.close()
        next = await RawConnection.open(dataPath)
        t.after(() => next.close())
      }
      assert.equal(await counter(next), before + (effect === 'mute' ? 1 : 0))
      assert.equal(data.unread, 0)
    })
  }

  for (const effect of ['hangup', 'errno=EIO']) {
    it(`${effect}: the end of file, and the next connection is served`, async (t) => {
      const { data, script, dataPath } = await startScriptedTpm(t)
      await script.ask({ fault: `GetRandom#1: ${effect}` })
      data.write(RANDOM)
      assert.equal((await data.readToEnd()).length, 0)
      const next = await RawConnection.open(dataPath)
      assert.equal((await next.exchange(RANDOM)).length, 20)
      next.close()
    })
  }

  it('a response cut short and a hang-up: what has come, and the end of file', async (t) => {
    const { data, script } = await startScriptedTpm(t)
    await script.ask({ fault: 'GetRandom: truncate=7' })
    await script.ask({ fault: 'PCR_Read: hangup' })
    data.write(RANDOM)
    assert.equal((await data.read(7)).length, 7)
    data.write(TPM2.pcrRead(0))
    assert.equal((await data.readToEnd()).length, 0)
  })
})

describe('bytes that are no command, while a script looks', () => {
  it('are answered, and their engine stays', async (t) => {
    const { swtpm, data, script } = await startScriptedTpm(t)
    await script.ask({ fault: 'GetRandom: late=0ms' })
    const engine = await enginePid(swtpm.pid)
    const long = Buffer.alloc(5000)
    RANDOM.copy(long)
    long.writeUInt32BE(long.length, 2)
    for (const bytes of [long, Buffer.from('800100000020000001440000', 'hex'), Buffer.from('8001', 'hex')])
      assert.equal(responseCode(await data.exchange(bytes)), 0x142)
    assert.equal(responseCode(await data.exchange(RANDOM)), 0)
    assert.equal(await enginePid(swtpm.pid), engine)
  })
})

describe('what becomes of the TPM', () => {
  it('crash: another engine goes on with its PCRs, and rules hold', async (t) => {
    const { data, script, swtpm, dataPath } = await startScriptedTpm(t)
    await data.exchange(EXTEND)
    const pcr = await data.exchange(TPM2.pcrRead(10))
    const engine = await enginePid(swtpm.pid)
    await script.ask({ fault: 'GetRandom: crash' })
    data.write(RANDOM)
    assert.equal((await data.readToEnd()).length, 0)
    await nextEngine(swtpm.pid, engine)
    await script.ask({ fault: 'GetRandom: rc=RETRY' })
    const next = await RawConnection.open(dataPath)
    assert.deepEqual(await next.exchange(TPM2.pcrRead(10)), pcr)
    assert.equal(responseCode(await next.exchange(RANDOM)), 0x922)
    next.close()
  })

  for (const [effect, sees] of [
    ['powercut', 'nothing'],
    ['reset', 'INITIALIZE'],
  ] as const) {
    it(`${effect}: its client sees ${sees}; without Startup nothing is executed, and PCRs are lost`, async (t) => {
      const { data, script } = await startScriptedTpm(t)
      const client = new TpmClient(data)
      const fresh = await client.pcr(10)
      await client.succeed(EXTEND)
      await script.ask({ fault: `GetRandom#1: ${effect}` })
      data.write(RANDOM)
      await script.ask({ wait: 1 })
      if (effect === 'reset') assert.equal(responseCode(await data.readResponse()), INITIALIZE)
      assert.equal(responseCode(await data.exchange(RANDOM)), INITIALIZE)
      await client.succeed(TPM2.startupClear)
      assert.deepEqual(await client.pcr(10), fresh)
    })
  }

  it('forget: sessions, objects, an NV index, the saved state', async (t) => {
    const { data, script } = await startScriptedTpm(t)
    const client = new TpmClient(data)
    const handles = async (first: number): Promise<number> =>
      handlesIn(await client.succeed(TPM2.getHandles(first))).length
    const [SESSION, OBJECT, NV] = [0x02000000, 0x80000000, 0x01000000]
    await client.succeed(TPM2.startPolicySession)
    await client.succeed(TPM2.createPrimaryEcc)
    await client.succeed(TPM2.nvDefine())
    assert.deepEqual([await handles(SESSION), await handles(OBJECT)], [1, 1])
    await script.ask({ fault: 'GetRandom#1: forget=sessions' })
    await script.ask({ fault: 'GetRandom#2: forget=objects' })
    await script.ask({ fault: 'GetRandom#3: forget=nv:0x01500001' })
    await script.ask({ fault: 'GetRandom#4: forget=nv:0x01500001' })
    await client.succeed(RANDOM)
    assert.deepEqual([await handles(SESSION), await handles(OBJECT)], [0, 1])
    await client.succeed(RANDOM)
    assert.deepEqual([await handles(OBJECT), await handles(NV)], [0, 1])
    await client.succeed(RANDOM)
    assert.equal(await handles(NV), 0)
    // There is none any more.
    assert.equal(responseCode(await client.ask(RANDOM)), 0x101)

    // A power cycle, then Startup(STATE): with the saved state, and without.
    const SHUTDOWN_STATE = Buffer.from('80010000000c000001450001', 'hex')
    await client.succeed(EXTEND)
    const pcr = await client.pcr(10)
    await script.ask({ fault: 'Startup: reset' })
    await client.succeed(SHUTDOWN_STATE)
    await client.succeed(TPM2.startupState)
    assert.deepEqual(await client.pcr(10), pcr)
    await script.ask({ fault: 'Startup: reset,forget=savestate' })
    await client.succeed(SHUTDOWN_STATE)
    assert.equal(responseCode(await client.ask(TPM2.startupState)), 0x1c4)
  })

  it('unplug: the socket goes, and comes back after a time, with the TPM as it was', async (t) => {
    const { data, script, dataPath, swtpm } = await startScriptedTpm(t)
    const client = new TpmClient(data)
    await client.succeed(EXTEND)
    const pcr = await client.pcr(10)
    await script.ask({ fault: 'GetRandom#1: unplug=100ms' })
    data.write(RANDOM)
    assert.equal((await data.readToEnd()).length, 0)
    await swtpm.until(() => /Unplugged for 100 ms/.test(swtpm.stderr), 'it is unplugged')
    await waitFor(() => isListening(dataPath), { what: 'the socket to come back' })
    const next = await TpmClient.open(dataPath)
    assert.deepEqual(await next.pcr(10), pcr)
    next.connection.close()
  })

  it('unplug for good: the TPM ends in order, and says which rules have struck nothing', async (t) => {
    const { data, swtpm, dataPath } = await startScriptedTpm(t, [
      ...['--fault', 'GetRandom#1: unplug', '--fault', 'Clear: drop'],
    ])
    data.write(RANDOM)
    assert.equal((await data.readToEnd()).length, 0)
    assert.equal(await swtpm.exited, 0)
    assert.throws(() => statSync(dataPath), { code: 'ENOENT' })
    assert.match(swtpm.stderr, /fault 1 "GetRandom#1: unplug" struck GetRandom \(no\. 1\)/)
    assert.match(swtpm.stderr, /fault 2 "Clear: drop" never struck/)
    assert.doesNotMatch(swtpm.stderr, /fault 1 .* never struck/)
  })
})

describe('a command that a rule holds', () => {
  it('is answered when it is cancelled, and is no reason not to end', async (t) => {
    const { data, script, controlPath, swtpm } = await startScriptedTpm(t)
    const control = await RawConnection.open(controlPath)
    t.after(() => control.close())
    const verb = async (code: string): Promise<void> => {
      control.write(code)
      assert.equal((await control.read(4)).readUInt32BE(), 0)
    }
    await script.ask({ fault: 'GetRandom: stall' })
    const hold = async (times: number): Promise<void> => {
      data.write(RANDOM)
      assert.ok((await script.ask({ wait: 1, times })).ok)
    }
    await hold(1)
    await verb(CMD.CANCEL_TPM_CMD)
    assert.equal(responseCode(await data.readResponse()), 0x909)
    await hold(2)
    await verb(CMD.SHUTDOWN)
    assert.equal(await swtpm.exited, 0)
  })

  it('and has answered in part when another engine takes over is not answered with something else', async (t) => {
    const { data, swtpm, dataPath } = await startScriptedTpm(t, ['--fault', 'GetRandom#1: pieces=10@1000s'])
    const engine = await enginePid(swtpm.pid)
    data.write(RANDOM)
    assert.equal((await data.read(10)).toString('hex'), '80010000001400000000')
    process.kill(swtpm.pid, 'SIGUSR2')
    // The end of file, and nothing before it.
    assert.equal((await data.readToEnd()).length, 0)
    await nextEngine(swtpm.pid, engine)
    const next = await RawConnection.open(dataPath)
    assert.equal((await next.exchange(RANDOM)).length, 20)
    next.close()
  })

  it('is not a reason not to end for SIGTERM either', async (t) => {
    const { data, script, swtpm } = await startScriptedTpm(t, ['--fault', 'GetRandom: stall'])
    data.write(RANDOM)
    await script.ask({ wait: 1 })
    assert.equal(await swtpm.stop(), 0)
  })
})

describe('--fault on the command line', () => {
  it('an effect that cannot be had is answered FAILURE, and said without where in this program', async (t) => {
    const { data, swtpm } = await startScriptedTpm(t, [
      '--fault',
      'GetRandom: set=nothing:1',
      '--log',
      'level=1',
    ])
    assert.equal(responseCode(await data.exchange(RANDOM)), 0x101)
    await waitFor(() => swtpm.stderr.includes('failed over'), { what: 'the line of the log' })
    assert.match(swtpm.stderr, /failed over GetRandom .*: there is no field "nothing"\n/)
    assert.doesNotMatch(swtpm.stderr, /\n\s+at /)
  })

  it('holds for the first command, in the order given, and of a TPM 1.2, too', async (t) => {
    const { dataPath } = await startSocketTpm(t, [
      ...['--flags', 'startup-clear', '--fault', 'GetRandom: rc=RETRY', '--fault', 'GetRandom#2-: append=1'],
    ])
    const data = await RawConnection.open(dataPath)
    t.after(() => data.close())
    assert.equal((await data.exchange(TPM12.getRandom())).toString('hex'), '00c40000000a00000800')
    data.write(TPM12.getRandom())
    assert.equal((await data.read(11)).toString('hex'), '00c40000000a0000080000')
    assert.equal(responseCode(await data.exchange(TPM12.pcrRead(0))), 0)
  })

  it('a mistake is found before anything is opened; help teaches the language', async (t) => {
    const state = `dir=${temporaryDirectory(t)}/none`
    const run = async (...words: string[]): Promise<Swtpm> => {
      const swtpm = new Swtpm(['socket', '--tpm2', '--tpmstate', state, '--port', '1', ...words])
      await swtpm.exited
      return swtpm
    }
    const wrong = await run('--fault', 'GetRandom: rc=RETRI')
    assert.equal(await wrong.exited, 1)
    assert.match(
      wrong.stderr,
      /column 15: no response code "RETRI"; did you mean RETRY\?\n {2}GetRandom: rc=RETRI\n {16}\^{5}/,
    )
    const seed = await run('--fault-seed', '1')
    assert.match(seed.stderr, /there is no --fault, --mode, --script or --script-socket that it could be for/)
    const help = await run('--fault', 'help')
    assert.equal(await help.exited, 0)
    assert.match(help.stdout, /^RULE = \[LABEL=\]WHEN: EFFECT/)
  })
})

/** How often PCRs have been extended. */
async function counter(data: RawConnection): Promise<number> {
  return (await data.exchange(TPM2.pcrRead(10))).readUInt32BE(10)
}
