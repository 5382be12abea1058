/**
 * `swtpm state rekey` and `convert` are killed before each call with which they change a file: a swtpm that starts afterwards has the old
 * TPM or the new one, with all its states under one key.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { noCompiler } from '../support/compilers.ts'
import { CMD } from '../support/control-commands.ts'
import { startPoweredTpm } from '../support/powered-tpm.ts'
import { runState } from '../support/state-command.ts'
import { projectRoot, temporaryDirectory } from '../support/swtpm.ts'
import { waitFor } from '../support/wait.ts'
import { killLibrary } from './support/preload.ts'
import { figure, long } from './support/scale.ts'

/** A TPM with a volatile state and a backup beside its permanent state, at rest. */
async function madeState(t: TestContext): Promise<string> {
  const directory = temporaryDirectory(t)
  const tpm = await startPoweredTpm(t, ['--tpmstate', `dir=${directory},backup`])
  await tpm.writeNv()
  assert.equal(await tpm.vmm.control(CMD.STORE_VOLATILE), '00000000')
  await tpm.swtpm.stop('SIGKILL')
  await waitFor(() => runState('convert', directory).status === 0, { what: 'the end of the engine' })
  return directory
}

class Killed {
  readonly #library = killLibrary()
  readonly #log: string

  constructor(t: TestContext) {
    this.#log = join(temporaryDirectory(t), 'calls')
  }

  /** @param at undefined: not at all @returns the calls up to there */
  run(args: readonly string[], at?: number): string[] {
    rmSync(this.#log, { force: true })
    const { status, signal, stderr } = spawnSync(
      process.execPath,
      [join(projectRoot, 'dist/swtpm.js'), 'state', ...args],
      {
        encoding: 'utf8',
        env: {
          ...process.env,
          ...{ LD_PRELOAD: this.#library, KILL_SHIM_LOG: this.#log },
          ...(at === undefined ? {} : { KILL_SHIM_AT: String(at) }),
        },
      },
    )
    if (at === undefined) assert.equal(status, 0, stderr)
    else assert.equal(signal, 'SIGKILL')
    return readFileSync(this.#log, 'utf8').trimEnd().split('\n')
  }
}

/** All of them, or each third in a short run, and all around the step that counts. */
function pointsIn(calls: readonly string[]): number[] {
  const step = calls.findLastIndex((call) => /^(rename|link) .*(permall|linear)/.test(call))
  return calls.map((_, at) => at).filter((at) => long || at % 3 === 0 || Math.abs(at - step) < 3)
}

const stateFiles = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => /^tpm2-00/.test(name))
    .sort()

describe('swtpm state killed before a call', { skip: noCompiler() }, () => {
  it('rekey of a directory', async (t) => {
    const original = await madeState(t)
    const names = stateFiles(original)
    assert.equal(names.length, 3, names.join())
    const key = join(temporaryDirectory(t), 'passphrase')
    writeFileSync(key, 'a new passphrase')
    const killed = new Killed(t)
    const directory = join(temporaryDirectory(t), 'state')
    const reset = (): void => {
      rmSync(directory, { recursive: true, force: true })
      cpSync(original, directory, { recursive: true, preserveTimestamps: true })
    }
    const rekey = ['rekey', directory, '--new-key', `pwdfile=${key}`]
    reset()
    const points = pointsIn(killed.run(rekey))
    let [old, replaced] = [0, 0]
    for (const at of points) {
      reset()
      killed.run(rekey, at)
      // Read as it was left, and by one that puts it in order.
      const plain = runState('verify', directory)
      const encrypted = runState('verify', directory, '--key', `pwdfile=${key}`)
      assert.ok(
        (plain.status === 0) !== (encrypted.status === 0),
        `${at}: ${plain.stderr}${encrypted.stderr}`,
      )
      if (plain.status === 0) old++
      else replaced++
      const keys = plain.status === 0 ? [] : ['--key', `pwdfile=${key}`]
      assert.equal(runState('convert', directory).status, 0)
      assert.equal(runState('verify', directory, ...keys).status, 0)
      assert.deepEqual(stateFiles(directory), names)
    }
    assert.ok(old > 0 && replaced > 0, `${old} before the step, ${replaced} after it`)
    const tpm = await startPoweredTpm(t, ['--key', `pwdfile=${key}`], { directory })
    await tpm.checkNv()
    await tpm.shutDown()
    figure('Kill swtpm state rekey', `${points.length} points, ${old} old, ${replaced} new`)
  })

  it('rekey of a linear file', async (t) => {
    const folder = temporaryDirectory(t)
    const original = join(folder, 'original')
    const file = join(folder, 'linear')
    assert.equal(runState('convert', await madeState(t), original).status, 0)
    const key = join(temporaryDirectory(t), 'passphrase')
    writeFileSync(key, 'a new passphrase')
    const killed = new Killed(t)
    const rekey = ['rekey', file, '--new-key', `pwdfile=${key}`]
    cpSync(original, file)
    const points = pointsIn(killed.run(rekey))
    const seen = new Set<string>()
    for (const at of points) {
      cpSync(original, file, { force: true })
      killed.run(rekey, at)
      const plain = runState('verify', file).status === 0
      const encrypted = runState('verify', file, '--key', `pwdfile=${key}`).status === 0
      assert.ok(plain !== encrypted, `${at}`)
      seen.add(plain ? 'old' : 'new')
    }
    assert.equal(seen.size, 2)
  })

  it('convert to a new directory', async (t) => {
    const original = await madeState(t)
    const folder = temporaryDirectory(t)
    const to = join(folder, 'to')
    const killed = new Killed(t)
    const convert = ['convert', original, `dir://${to}`]
    const points = pointsIn(killed.run(convert))
    for (const at of points) {
      for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true })
      killed.run(convert, at)
      if (readdirSync(folder).includes('to')) assert.equal(runState('verify', to).status, 0, `${at}`)
      assert.equal(runState('verify', original).status, 0)
    }
  })
})
