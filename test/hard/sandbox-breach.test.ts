/** A sandbox put to the test: engines that reach for what they must not have, and one that cannot install its filter. */

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { noCompiler } from '../support/compilers.ts'
import { alive, descendants } from '../support/processes.ts'
import { roundTrip } from '../support/round-trip.ts'
import { type Cleanup, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { waitFor } from '../support/wait.ts'
import { engineWith } from './support/preload.ts'

describe('a file outside the state directory', { skip: noCompiler() }, () => {
  it('cannot be reached through the descriptor of the directory', async (t) => {
    const directory = temporaryDirectory(t)
    const state = join(directory, 'state')
    mkdirSync(state)
    writeFileSync(join(directory, 'outside'), '')
    const engine = engineWith(directory, 'escape.c')
    const args = ['--tpm2', '--tpmstate', `dir=${state}`, '--flags', 'startup-clear', '--log', 'level=20']
    const { swtpm, dataPath } = await startSocketTpm(t, args, { env: { SWTPM_ENGINE: engine } })
    assert.equal(await roundTrip(dataPath), 0)
    if (/The kernel has no Landlock/.test(swtpm.stderr)) return t.skip('the kernel has no Landlock')
    assert.ok(existsSync(join(state, 'denied')))
  })
})

describe('a forbidden system call', { skip: noCompiler() }, () => {
  const start = (t: Cleanup, action: string): Swtpm => {
    const directory = temporaryDirectory(t)
    const engine = engineWith(directory, 'offend.c')
    const args = ['socket', '--tpm2', '--tpmstate', `dir=${directory}`, '--flags', 'startup-clear']
    const swtpm = new Swtpm(
      [...args, '--server', `type=unixio,path=${directory}/data`, '--pid', `file=${directory}/pid`].concat(
        '--seccomp',
        `action=${action}`,
      ),
      { env: { SWTPM_ENGINE: engine } },
    )
    t.after(() => swtpm.stop('SIGKILL'))
    return Object.assign(swtpm, { pidFile: join(directory, 'pid') })
  }

  it('ends the TPM with `kill`, and swtpm says so', async (t) => {
    const swtpm = start(t, 'kill')
    assert.equal(await swtpm.exited, 1)
    assert.match(swtpm.stderr, /SIGSYS/)
  })

  for (const action of ['log', 'none']) {
    it(`passes with \`${action}\``, async (t) => {
      const swtpm = start(t, action) as Swtpm & { pidFile: string }
      await swtpm.until(() => existsSync(swtpm.pidFile), 'it has its state')
      assert.equal(await swtpm.stop(), 0)
    })
  }
})

describe('a seccomp filter that cannot be installed', { skip: noCompiler() }, () => {
  it('ends the start: swtpm says why, and no process is left', async (t) => {
    const directory = temporaryDirectory(t)
    const state = join(directory, 'state')
    mkdirSync(state)
    const engine = engineWith(directory, 'no-seccomp.c')
    const args = ['socket', '--tpm2', '--tpmstate', `dir=${state}`, '--flags', 'startup-clear']
    const swtpm = new Swtpm([...args, '--server', `type=unixio,path=${directory}/data`], {
      env: { SWTPM_ENGINE: engine },
    })
    const seen = new Set<number>()
    t.after(() => {
      swtpm.stop('SIGKILL')
      for (const pid of seen) if (alive(pid)) process.kill(pid, 'SIGKILL')
    })
    await waitFor(
      () => {
        for (const pid of descendants(swtpm.pid)) seen.add(pid)
        return !swtpm.running
      },
      { what: `swtpm to end; stderr: ${swtpm.stderr}` },
    )
    assert.equal(await swtpm.exited, 1)
    assert.match(swtpm.stderr, /Cannot install the seccomp filter: invalid argument/)
    assert.ok(seen.size > 0)
    await waitFor(() => ![...seen].some(alive), { what: 'the engine and the spawner to end' })
  })
})
