/** The requests that print something and end. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'

async function output(...args: string[]): Promise<string> {
  const swtpm = new Swtpm(['socket', ...args])
  assert.equal(await swtpm.exited, 0, swtpm.stderr)
  return swtpm.stdout
}

describe('print requests', () => {
  it('--print-states says which blobs a state has, and makes none', async (t) => {
    const directory = temporaryDirectory(t)
    const ask = ['--tpm2', '--print-states', '--tpmstate', `dir=${directory}`]
    assert.equal(await output(...ask), '{ "type": "swtpm", "states": [] }')
    assert.equal(existsSync(`${directory}/tpm2-00.permall`), false)
    await output('--tpm2', '--print-info', '1', '--tpmstate', `dir=${directory}`)
    assert.match(
      await output(...ask),
      /^\{ "type": "swtpm", "states": \[ \{"name": "permall", "size": \d+\} \] \}$/,
    )
  })

  it('--print-states looks at a TPM that runs, and at a directory that is not there', async (t) => {
    const { directory } = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-clear'])
    const ask = (dir: string) => output('--tpm2', '--print-states', '--tpmstate', `dir=${dir}`)
    assert.match(
      await ask(directory),
      /^\{ "type": "swtpm", "states": \[ \{"name": "permall", "size": \d+\} \] \}$/,
    )
    assert.equal(await ask(`${directory}/none`), '{ "type": "swtpm", "states": [] }')
  })

  it('--print-info gives what libtpms says, without a state and of one', async (t) => {
    const directory = temporaryDirectory(t)
    const alone = JSON.parse(await output('--tpm2', '--print-info', '3'))
    assert.equal(alone.TPMSpecification.family, '2.0')
    assert.equal(alone.TPMAttributes.manufacturer, 'id:00001014')
    assert.deepEqual(
      JSON.parse(await output('--tpm2', '--print-info', '3', '--tpmstate', `dir=${directory}`)),
      alone,
    )
  })

  it('--print-capabilities is JSON of the known shape', async () => {
    const capabilities = JSON.parse(await output('--print-capabilities'))
    assert.equal(capabilities.type, 'swtpm')
    assert.ok(capabilities.features.includes('tpm-2.0'))
    assert.match(capabilities.version, /^\d+\.\d+\.\d+$/)
  })

  it('--help and --version', async () => {
    assert.match(await output('--help'), /--tpmstate/)
    assert.match(await output('--version'), /^TPM emulator version \d+\.\d+\.\d+/)
  })
})
