/** `--seccomp action=log` on a real kernel: what would have ended the TPM can be found in the kernel's log. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { engineWith } from '../hard/support/preload.ts'
import { noCompiler } from '../support/compilers.ts'
import { startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { waitFor } from '../support/wait.ts'

describe('--seccomp action=log', { skip: noCompiler() }, () => {
  it('an offending call is in the log, with its number', async (t) => {
    const engine = engineWith(temporaryDirectory(t), 'offend.c')
    const args = ['--tpm2', '--flags', 'startup-clear', '--seccomp', 'action=log']
    const { swtpm } = await startSocketTpm(t, args, { env: { SWTPM_ENGINE: engine } })
    // audit(8): type 1326 is SECCOMP; getppid() is 110 on x86-64.
    const line = /type=1326 .*comm="tpm-engine".* syscall=110 .*code=0x7ffc0000/
    await waitFor(() => line.test(execFileSync('dmesg', { encoding: 'utf8' })), { what: 'a line in the log' })
    assert.equal(await swtpm.stop(), 0)
  })
})
