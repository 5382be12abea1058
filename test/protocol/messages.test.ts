/** What swtpm says when it cannot start: each cause once, and one line for what failed because of it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type Cleanup, Swtpm, temporaryDirectory } from '../support/swtpm.ts'

/** The lines that swtpm writes itself; libtpms has its own. */
async function messages(t: Cleanup, directory: string, env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const args = ['--tpm2', '--flags', 'startup-clear', '--tpmstate', `dir=${directory}`]
  const swtpm = new Swtpm(['socket', ...args, '--server', `type=unixio,path=${join(directory, 'data')}`], {
    env,
  })
  t.after(() => swtpm.stop('SIGKILL'))
  assert.equal(await swtpm.exited, 1)
  return swtpm.stderr.split('\n').filter((line) => line.startsWith('swtpm: '))
}

describe('a start that fails', () => {
  it('with a damaged state: what is wrong with it, and that the TPM does not start', async (t) => {
    const directory = temporaryDirectory(t)
    writeFileSync(join(directory, 'tpm2-00.permall'), 'not a state')
    const lines = await messages(t, directory)
    assert.equal(lines.length, 2)
    assert.match(lines[0] ?? '', /Cannot use state "tpm2-00.permall": its header/)
    assert.match(lines[1] ?? '', /Cannot start the TPM: libtpms result 0x101$/)
  })

  it('without an engine: its path and why', async (t) => {
    assert.deepEqual(await messages(t, temporaryDirectory(t), { SWTPM_ENGINE: '/no/such/engine' }), [
      'swtpm: Cannot start the engine "/no/such/engine": no such file or directory',
    ])
  })
})
