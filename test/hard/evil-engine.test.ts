/** A guest that has broken into its engine has that TPM, and nothing else: no other TPM of the fleet, no descriptors, no log. */
import assert from 'node:assert/strict'
import { closeSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { FRAME_KIND, frameHeader } from '../../contract/engine-channel.ts'
import { BIG } from '../../contract/struct.ts'
import { check } from '../../src/system/native/check.ts'
import { native } from '../../src/system/native/load.ts'
import { noCxxCompiler } from '../support/compilers.ts'
import { connectUnix } from '../support/connect-unix.ts'
import { CMD } from '../support/control-commands.ts'
import { type FleetTpm, type RunningFleet, startFleet } from '../support/fleet.ts'
import { alive, descendants, enginePid, nameOf, nextEngine, replaceEngine } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Cleanup, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import {
  EVIL,
  engineThatEndsAtAttach,
  eventFrame,
  evilEngine,
  evilEngineWithoutLandlock,
} from './support/evil-engine.ts'

/** Seen from the state directory, which may be the engine's root. */
const OUTSIDE = ['/etc/passwd', '../../../etc/passwd', '/proc/self/mem', '/proc']

/** Sends a command on a connection of its own. @returns the response code, or undefined where the connection ended */
async function send(dataPath: string, command: Buffer): Promise<number | undefined> {
  const data = await RawConnection.open(dataPath)
  try {
    data.write(command)
    return responseCode(await data.readResponse())
  } catch {
    return undefined
  } finally {
    data.close()
  }
}

async function verb(controlPath: string, command: string, bytes = 4): Promise<number | undefined> {
  const control = await RawConnection.open(controlPath)
  try {
    control.write(command)
    return (await control.read(bytes)).readUInt32BE()
  } catch {
    return undefined
  } finally {
    control.close()
  }
}

interface EvilFleet {
  readonly fleet: RunningFleet
  readonly a: FleetTpm
  readonly b: FleetTpm
  /** Of TPM b, which is nobody's concern. */
  readonly engineOfB: number
}

async function evilFleet(t: Cleanup): Promise<EvilFleet> {
  const fleet = await startFleet(t, { tpms: ['a', 'b'], env: { SWTPM_ENGINE: evilEngine() } })
  const engineOfB = (await fleet.list()).find(({ name }) => name === 'b')?.engine as number
  return { fleet, a: fleet.describe('a'), b: fleet.describe('b'), engineOfB }
}

/** The fleet, and the other TPM with the engine that it had, go on. */
async function othersGoOn({ fleet, b, engineOfB }: EvilFleet): Promise<void> {
  assert.equal(await send(b.data, TPM2.getRandom()), 0)
  assert.equal(await verb(b.control, CMD.GET_CONFIG, 8), 0)
  assert.equal((await fleet.list()).find(({ name }) => name === 'b')?.engine, engineOfB)
}

/** Each step has an engine of TPM a killed over what it says. Another engine continues with the TPM; the others notice nothing. */
async function loseEngines(evil: EvilFleet, steps: readonly (() => Promise<unknown>)[]): Promise<void> {
  const killed = (): number => (evil.fleet.swtpm.stderr.match(/a: .*broke the protocol/g) ?? []).length
  for (const step of steps) {
    const before = killed()
    await step()
    await waitFor(() => killed() > before, { what: 'an engine of TPM a to be killed' })
    await othersGoOn(evil)
    await waitFor(async () => (await send(evil.a.data, TPM2.getRandom())) === 0, { what: 'the next engine' })
  }
}

const openFds = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

const nodeOf = (keeper: number): number => descendants(keeper).find((pid) => nameOf(pid) === 'node') as number

describe('a fleet with an engine that has been broken into', { skip: noCxxCompiler() }, () => {
  it('loses that engine alone over a reply that does not fit, whatever was asked', async (t) => {
    const evil = await evilFleet(t)
    const { a } = evil
    const answer = (hex: string, verbCode: string) => async () => {
      assert.equal(await send(a.data, EVIL.answer(Buffer.from(hex, 'hex'))), 0)
      await verb(a.control, verbCode)
    }
    await loseEngines(evil, [
      answer('', CMD.GET_CONFIG),
      answer('0000', CMD.GET_CONFIG),
      answer('00000000', `${CMD.GET_STATEBLOB}000000000000000100000000`),
      answer('0000000000', `${CMD.SET_BUFFERSIZE}00000000`),
      answer('', CMD.STORE_VOLATILE),
    ])
    assert.equal(await evil.fleet.swtpm.stop(), 0)
  })

  it('loses it over an event that does not fit, also without any client', async (t) => {
    const evil = await evilFleet(t)
    const events = [
      eventFrame('CLIENT_CLOSED', Buffer.alloc(0)),
      eventFrame('FUSE_REQUEST', Buffer.alloc(3)),
      frameHeader.encode({ length: 0xffff_ffff, kind: FRAME_KIND.event, id: 0 }, BIG),
      frameHeader.encode({ length: 0, kind: FRAME_KIND.reply, id: 77 }, BIG),
    ]
    await loseEngines(
      evil,
      events.map((bytes) => () => send(evil.a.data, EVIL.say(bytes))),
    )
    assert.equal(await evil.fleet.swtpm.stop(), 0)
  })

  it('keeps no descriptors that it sends', async (t) => {
    const evil = await evilFleet(t)
    const { a, fleet } = evil
    const node = nodeOf(fleet.swtpm.pid)
    const before = openFds(node)
    await loseEngines(evil, [
      () => send(a.data, EVIL.passFds(12, eventFrame('LOG', Buffer.from('00000004', 'hex')))),
    ])
    await waitFor(() => openFds(node) <= before, { what: 'the descriptors to be closed' })
    assert.equal(await fleet.swtpm.stop(), 0)
  })

  it('keeps no descriptors that a client of the control channel sends', async (t) => {
    const evil = await evilFleet(t)
    const { a, fleet } = evil
    const node = nodeOf(fleet.swtpm.pid)
    const before = openFds(node)
    const client = connectUnix(a.control)
    t.after(() => closeSync(client))
    // A blob that is on its way, byte by byte, each with as many descriptors as fit.
    const blob = Buffer.from(`${CMD.SET_STATEBLOB}000000000000000100000190`, 'hex')
    const strays = new Array(12).fill(client)
    check(native.sendMessage(client, blob, 0, blob.length, []), 'send a command')
    for (let i = 0; i < 300; i++) native.sendMessage(client, blob, 0, 1, strays)
    await othersGoOn(evil)
    assert.ok(openFds(node) < before + 20, `${openFds(node)} descriptors, ${before} before`)
    assert.equal(await fleet.swtpm.stop(), 0)
  })

  it('limits what it writes to the log, and keeps it to lines of its own TPM', async (t) => {
    const evil = await evilFleet(t)
    const { a, fleet } = evil
    const text = Buffer.from('forged\nb: It has ended\n\u001b[2Jclear', 'utf8')
    await send(a.data, EVIL.say(eventFrame('LOG', Buffer.concat([Buffer.from('00000001', 'hex'), text]))))
    await waitFor(() => fleet.swtpm.stderr.includes('clear'), { what: 'the line' })
    assert.match(fleet.swtpm.stderr, /^swtpm: a: forged$/m)
    assert.match(fleet.swtpm.stderr, /^swtpm: a: b: It has ended$/m)
    assert.ok(fleet.swtpm.stderr.includes('a: \\x1b[2Jclear'))
    const long = Buffer.concat([Buffer.from('00000001', 'hex'), Buffer.alloc(1000, 'x')])
    await send(a.data, EVIL.sayOften(20_000, eventFrame('LOG', long)))
    await othersGoOn(evil)
    assert.ok(fleet.swtpm.stderr.length < 1_000_000, `${fleet.swtpm.stderr.length} bytes of log`)
    assert.equal(await fleet.swtpm.stop(), 0)
    assert.ok(fleet.swtpm.stderr.length < 1_000_000, `${fleet.swtpm.stderr.length} bytes of log`)
  })

  it('ends, and replaces its engines, also one that will not go', async (t) => {
    const evil = await evilFleet(t)
    const { a, fleet } = evil
    const engineOfA = (await fleet.list()).find(({ name }) => name === 'a')?.engine as number
    assert.equal(await send(a.data, EVIL.stay()), 0)
    process.kill(fleet.swtpm.pid, 'SIGUSR2')
    await waitFor(() => !alive(engineOfA) && !alive(evil.engineOfB), {
      what: 'both engines to be replaced',
    })
    assert.equal(await send(a.data, EVIL.stay()), 0)
    const engines = (await fleet.list()).map(({ engine }) => engine as number)
    assert.equal(await fleet.swtpm.stop(), 0)
    assert.deepEqual(engines.filter(alive), [])
  })
})

describe('SIGUSR2 to an engine that has been broken into', { skip: noCxxCompiler() }, () => {
  for (const [lie, hex] of [
    ['BAD_ORDINAL', '0000000a'],
    ['FAIL', '00000009'],
  ] as const) {
    it(`replaces one that lies: ${lie}`, async (t) => {
      const { swtpm, dataPath, controlPath } = await startSocketTpm(t, undefined, {
        env: { SWTPM_ENGINE: evilEngine() },
      })
      // It has answered ATTACH.
      assert.equal(await verb(controlPath, CMD.GET_CONFIG, 8), 0)
      const engine = await enginePid(swtpm.pid)
      assert.equal(await send(dataPath, EVIL.answer(Buffer.from(hex, 'hex'))), 0)
      await replaceEngine(swtpm.pid)
      await waitFor(async () => (await send(dataPath, TPM2.getRandom())) === 0, { what: 'the next engine' })
      assert.equal(alive(engine), false)
      assert.match(swtpm.stderr, /does not hand its TPM over/)
      assert.equal(await swtpm.stop(), 0)
    })
  }

  it('goes on with another engine, and the same client, when the new one ends as soon as it is to serve', async (t) => {
    const directory = temporaryDirectory(t)
    const [program, mark] = [join(directory, 'engine'), join(directory, 'mark')]
    const lines = [
      '#!/bin/sh',
      `if rm ${mark} 2>/dev/null; then exec ${engineThatEndsAtAttach()} "$@"; fi`,
      `exec ${evilEngine()} "$@"`,
    ]
    writeFileSync(program, lines.join('\n'), { mode: 0o755 })
    const { swtpm, dataPath } = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: program } })
    const client = await RawConnection.open(dataPath)
    const ask = async (command: Buffer): Promise<number | undefined> => {
      client.write(command)
      return responseCode(await client.readResponse())
    }
    assert.equal(await ask(TPM2.pcrExtend(16, Buffer.alloc(32, 1))), 0)
    const first = await enginePid(swtpm.pid)
    writeFileSync(mark, '')
    process.kill(swtpm.pid, 'SIGUSR2')
    await waitFor(() => !alive(first) && /new engine has taken over/.test(swtpm.stderr), {
      what: 'the third engine',
    })
    assert.match(swtpm.stderr, /exited with status 3/)
    assert.equal(await ask(TPM2.getRandom()), 0)
    client.write(TPM2.pcrRead(16))
    assert.notDeepEqual((await client.readResponse()).subarray(-32), Buffer.alloc(32))
    client.close()
    assert.equal(await swtpm.stop(), 0)
  })

  it('replaces one that lies in a fleet, and those of the others', async (t) => {
    const evil = await evilFleet(t)
    const { a, b, fleet } = evil
    const engineOf = async (tpm: string) => (await fleet.list()).find(({ name }) => name === tpm)?.engine
    const engineOfA = await engineOf('a')
    assert.equal(await send(a.data, EVIL.answer(Buffer.from('0000000a', 'hex'))), 0)
    process.kill(fleet.swtpm.pid, 'SIGUSR2')
    await waitFor(() => !alive(engineOfA as number) && !alive(evil.engineOfB), {
      what: 'both engines to be replaced',
    })
    for (const { data } of [a, b]) {
      await waitFor(async () => (await send(data, TPM2.getRandom())) === 0, { what: 'the next engine' })
    }
    assert.equal(await fleet.swtpm.stop(), 0)
  })
})

describe('an engine that has been broken into', { skip: noCxxCompiler() }, () => {
  it('opens nothing but its state', async (t) => {
    const { swtpm, dataPath } = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: evilEngine() } })
    for (const path of OUTSIDE) assert.notEqual(await send(dataPath, EVIL.open(path)), 0, path)
    assert.equal(await swtpm.stop(), 0)
  })

  it('opens nothing but its state on a kernel without Landlock, where its rights allow that', async (t) => {
    const root = process.geteuid?.() === 0
    const engine = evilEngineWithoutLandlock()
    const { swtpm, dataPath } = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: engine } })
    const opened = await Promise.all(OUTSIDE.map((path) => send(dataPath, EVIL.open(path))))
    assert.equal(await swtpm.stop(), 0)
    if (root) assert.ok(!opened.includes(0), opened.join())
    // Otherwise its user hears of it.
    else assert.match(swtpm.stderr, /The kernel has no Landlock/)
    assert.equal(root, !swtpm.stderr.includes('Landlock'))
  })

  it('is followed by one that checks what it has left', async (t) => {
    const { swtpm, dataPath } = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: evilEngine() } })
    let engine = await enginePid(swtpm.pid)
    // The request number, and lengths wherever they are: the next engine goes on, or refuses with a reason.
    for (const [offset, byte] of [
      [16, 0xff],
      [24, 0xff],
    ] as const) {
      assert.equal(await send(dataPath, EVIL.poke(offset, Buffer.alloc(8, byte))), 0)
      await send(dataPath, EVIL.go(1))
      engine = await nextEngine(swtpm.pid, engine)
      await waitFor(async () => (await send(dataPath, TPM2.getRandom())) === 0, { what: 'the next engine' })
    }
    assert.equal(await swtpm.stop(), 0)
    assert.doesNotMatch(swtpm.stderr, /SIGSEGV|SIGABRT|Internal error/)
  })

  it('is followed by one that does not execute what broke into it', async (t) => {
    const { swtpm, dataPath } = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: evilEngine() } })
    // A command that the next engine repeats. What is left in its place would end that, and each one after it.
    const extend = TPM2.pcrExtend(16, Buffer.alloc(32, 0x5a))
    assert.equal(await send(dataPath, extend), 0)
    const left = Buffer.from(extend)
    left.set(EVIL.go(0).subarray(6, 10), 6)
    await send(dataPath, EVIL.leave(extend, left))
    assert.equal(await swtpm.exited, 1)
    assert.match(swtpm.stderr, /has left a command that is none to be repeated/)
    assert.doesNotMatch(swtpm.stderr, /exited with status 0/)
  })

  it('does not outlive its swtpm', async (t) => {
    const { swtpm, dataPath } = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: evilEngine() } })
    const engine = await enginePid(swtpm.pid)
    assert.equal(await send(dataPath, EVIL.stay()), 0)
    assert.equal(await swtpm.stop(), 0)
    assert.equal(alive(engine), false)
  })
})
