/** A guest of a fleet that has broken into its engine has that TPM, and nothing else: no other TPM, no descriptors, no log. */
import assert from 'node:assert/strict'
import { closeSync, readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { FRAME_KIND, frameHeader } from '../../contract/engine-channel.ts'
import { traceEvent } from '../../contract/engine-events.ts'
import { BIG } from '../../contract/struct.ts'
import { check } from '../../src/system/native/check.ts'
import { native } from '../../src/system/native/load.ts'
import { noCxxCompiler } from '../support/compilers.ts'
import { connectUnix } from '../support/connect-unix.ts'
import { CMD } from '../support/control-commands.ts'
import { alive, descendants, nameOf } from '../support/processes.ts'
import { TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { EVIL, eventFrame } from './support/evil-engine.ts'
import { evilFleet, loseEngines, othersGoOn, send, verb } from './support/evil-fleet.ts'

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

  it('loses it over what it says of commands and of what passes, where nobody has asked for that', async (t) => {
    const evil = await evilFleet(t)
    const number = Buffer.from('00000001', 'hex')
    const events = [
      eventFrame('COMMAND', Buffer.concat([number, Buffer.of(0), TPM2.getRandom()])),
      eventFrame('RESPONSE', Buffer.concat([number, Buffer.alloc(10)])),
      eventFrame('COMMAND_GONE', Buffer.concat([number, Buffer.alloc(4)])),
      eventFrame('TRACE', traceEvent.encode({ direction: 0, timeUs: 0n, locality: 0 }, BIG)),
    ]
    await loseEngines(
      evil,
      events.map((bytes) => () => send(evil.a.data, EVIL.say(bytes))),
    )
    assert.equal(evil.fleet.swtpm.stderr.match(/which nobody has asked for/g)?.length, events.length)
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
