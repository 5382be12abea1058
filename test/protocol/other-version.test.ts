/** A state directory that holds a TPM of the other version only: no fault, and most likely not what the user wants. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { Swtpm, temporaryDirectory } from '../support/swtpm.ts'

for (const [file, version, words] of [
  ['tpm2-00.permall', [], 'holds the state of a TPM 2.0, and without --tpm2 this is a TPM 1.2'],
  ['tpm-00.permall', ['--tpm2'], 'holds the state of a TPM 1.2, and --tpm2 asks for a TPM 2.0'],
] as const) {
  it(`warns of a directory with ${file} only, ${version.join('') || 'without --tpm2'}`, async (t) => {
    const directory = temporaryDirectory(t)
    writeFileSync(join(directory, file), 'of another one')
    const swtpm = new Swtpm([
      'socket',
      ...version,
      '--tpmstate',
      `dir=${directory}`,
      '--server',
      `type=unixio,path=${join(directory, 'data')}`,
    ])
    t.after(() => swtpm.stop('SIGKILL'))
    await swtpm.until(() => swtpm.stderr.includes(words), 'the warning')
    assert.doesNotMatch(swtpm.stderr, /ready/, 'standard error is no terminal')
  })
}
