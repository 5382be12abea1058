/** A guest that has broken into its engine: what that reaches, what it leaves to the next one, and how it goes. In a fleet: evil-fleet.test.ts. */
import assert from 'node:assert/strict'
import { copyFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { noCxxCompiler } from '../support/compilers.ts'
import { CMD } from '../support/control-commands.ts'
import { alive, enginePid, nextEngine, replaceEngine } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { projectRoot, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { NV, numbered } from './support/engine-tpm.ts'
import { EVIL, engineThatEndsAtAttach, evilEngine, evilEngineWithoutLandlock } from './support/evil-engine.ts'
import { evilFleet, send, verb } from './support/evil-fleet.ts'

/** Overwrites what marks the memory that engines leave to each other. */
const SPOIL = EVIL.poke(0, Buffer.alloc(8, 0xff))

/** Seen from the state directory, which may be the engine's root. */
const OUTSIDE = ['/etc/passwd', '../../../etc/passwd', '/proc/self/mem', '/proc']

describe('SIGUSR2 to an engine that has been broken into', { skip: noCxxCompiler() }, () => {
  for (const [lie, hex] of [
    ['BAD_ORDINAL', '0000000a'],
    ['FAIL', '00000009'],
  ] as const) {
    it(`replaces one that lies: ${lie}`, async (t) => {
      const { swtpm, dataPath, controlPath } = await startSocketTpm(t, undefined, {
        env: { SWTPM_ENGINE: evilEngine() },
      })
      // It serves, so it was asked to; and what it is asked next it answers after that.
      assert.equal(await send(dataPath, TPM2.getRandom()), 0)
      assert.equal(await verb(controlPath, CMD.GET_TPMESTABLISHED, 8), 0)
      const engine = await enginePid(swtpm.pid)
      assert.equal(await send(dataPath, EVIL.answer(Buffer.from(hex, 'hex'))), 0)
      await replaceEngine(swtpm.pid)
      await waitFor(async () => (await send(dataPath, TPM2.getRandom())) === 0, { what: 'the next engine' })
      assert.equal(alive(engine), false)
      assert.match(swtpm.stderr, /does not hand its TPM over/)
      assert.equal(await swtpm.stop(), 0)
    })
  }

  it('ends one that has spoilt what it would leave, and its TPM; its state is there for the next start', async (t) => {
    const tpm = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: evilEngine() } })
    const engine = await enginePid(tpm.swtpm.pid)
    assert.equal(await send(tpm.dataPath, NV['2'].define), 0)
    assert.equal(await send(tpm.dataPath, TPM2.nvWrite(numbered(7))), 0)
    assert.equal(await send(tpm.dataPath, SPOIL), 0)
    process.kill(tpm.swtpm.pid, 'SIGUSR2')
    assert.equal(await tpm.swtpm.exited, 1)
    assert.equal(alive(engine), false)
    assert.match(tpm.swtpm.stderr, /cannot be continued even by an engine of its own program/)
    const next = await startSocketTpm(t, undefined, { directory: tpm.directory })
    const client = await TpmClient.open(next.dataPath)
    assert.equal(NV['2'].sequence(await client.ask(NV['2'].read)), 7)
    client.connection.close()
    assert.equal(await next.swtpm.stop(), 0)
  })

  it('keeps it where the program is another one by now, whose fault it may be', async (t) => {
    const program = join(temporaryDirectory(t), 'tpm-engine')
    copyFileSync(evilEngine(), program)
    const { swtpm, dataPath } = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: program } })
    const engine = await enginePid(swtpm.pid)
    assert.equal(await send(dataPath, SPOIL), 0)
    copyFileSync(join(projectRoot, 'native/build/Release/tpm-engine'), `${program}.new`)
    renameSync(`${program}.new`, program)
    process.kill(swtpm.pid, 'SIGUSR2')
    await waitFor(() => swtpm.stderr.includes('Cannot replace the engine'), { what: 'the refusal' })
    assert.equal(await enginePid(swtpm.pid), engine)
    assert.equal(await send(dataPath, TPM2.getRandom()), 0)
    assert.equal(await swtpm.stop(), 0)
  })

  it('ends one that has spoilt what it would leave, and its TPM, in a fleet whose program is another one by now', async (t) => {
    const program = join(temporaryDirectory(t), 'tpm-engine')
    copyFileSync(evilEngine(), program)
    const { a, b, fleet, engineOfB } = await evilFleet(t, program)
    const engineOfA = (await fleet.list()).find(({ name }) => name === 'a')?.engine as number
    copyFileSync(join(projectRoot, 'native/build/Release/tpm-engine'), `${program}.new`)
    renameSync(`${program}.new`, program)
    assert.equal(await send(a.data, SPOIL), 0)
    process.kill(fleet.swtpm.pid, 'SIGUSR2')
    await waitFor(() => !alive(engineOfA) && !alive(engineOfB), { what: 'both engines to end' })
    await waitFor(async () => (await send(b.data, TPM2.getRandom())) === 0, { what: 'the next engine of b' })
    assert.match(fleet.swtpm.stderr, /a: .*cannot be continued even by an engine of its own program/)
    assert.equal(await fleet.swtpm.stop(), 0)
  })

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

  it('says a few lines at its end, as its own, and nothing before', async (t) => {
    const { swtpm, dataPath } = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: evilEngine() } })
    const engine = await enginePid(swtpm.pid)
    const line = Buffer.from(`swtpm: forged \u001b[2J ${'x'.repeat(1000)}\n`)
    // A pipe that nobody reads is full soon.
    assert.equal(await send(dataPath, EVIL.print(1000, line)), constants.errno.EAGAIN)
    assert.equal(swtpm.stderr, '')
    await send(dataPath, EVIL.go(1))
    await nextEngine(swtpm.pid, engine)
    await waitFor(async () => (await send(dataPath, TPM2.getRandom())) === 0, { what: 'the next engine' })
    const said = swtpm.stderr.split('\n').filter((text) => text.includes('forged'))
    assert.ok(said.length > 0 && said.length < 20, `${said.length} lines`)
    for (const text of said)
      assert.ok(text.startsWith(`tpm-engine (process ${engine}): swtpm: forged ?[2J`), text)
    assert.ok(swtpm.stderr.length < 20_000, `${swtpm.stderr.length} bytes of log`)
    assert.equal(await swtpm.stop(), 0)
  })

  it('makes no large file', async (t) => {
    const { swtpm, dataPath, directory } = await startSocketTpm(t, undefined, {
      env: { SWTPM_ENGINE: evilEngine() },
    })
    assert.equal(await send(dataPath, EVIL.grow()), constants.errno.EFBIG)
    assert.equal(statSync(join(directory, 'filler')).size, 16 << 20)
    assert.equal(await send(dataPath, TPM2.getRandom()), 0)
    assert.equal(await swtpm.stop(), 0)
  })

  it('is told nothing of any path', async (t) => {
    const { swtpm, dataPath } = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: evilEngine() } })
    for (const path of [...OUTSIDE, 'tpm2-00.permall', ''])
      assert.equal(await send(dataPath, EVIL.look(path)), constants.errno.EPERM, path)
    assert.equal(await swtpm.stop(), 0)
  })

  it('does not outlive its swtpm', async (t) => {
    const { swtpm, dataPath } = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: evilEngine() } })
    const engine = await enginePid(swtpm.pid)
    assert.equal(await send(dataPath, EVIL.stay()), 0)
    assert.equal(await swtpm.stop(), 0)
    assert.equal(alive(engine), false)
  })
})
