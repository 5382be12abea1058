/** A guest that has broken into its engine: what that reaches, what it leaves to the next one, and how it goes. In a fleet: evil-fleet.test.ts. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { noCxxCompiler } from '../support/compilers.ts'
import { CMD } from '../support/control-commands.ts'
import { alive, enginePid, nextEngine, replaceEngine } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { EVIL, engineThatEndsAtAttach, evilEngine, evilEngineWithoutLandlock } from './support/evil-engine.ts'
import { evilFleet, send, verb } from './support/evil-fleet.ts'

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
