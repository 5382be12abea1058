/** `swtpm_ioctl --json`: what a verb has answered, for scripts. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { it } from 'node:test'
import { bin, startSocketTpm } from '../support/swtpm.ts'

it('prints what a verb has answered as JSON, and refuses to where there is nothing to print', async (t) => {
  const { controlPath } = await startSocketTpm(t)
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(
      bin('swtpm_ioctl'),
      ['--unix', controlPath, '--json', ...args],
      { encoding: 'utf8' },
    )
    return { status, stdout, stderr }
  }
  const json = (...args: string[]) => JSON.parse(run(...args).stdout)
  const { verbs, flags } = json('-c')
  assert.ok(verbs.includes('CANCEL_TPM_CMD') && verbs.includes('GET_INFO'), verbs)
  assert.equal(typeof flags, 'number')
  assert.deepEqual(json('-e'), { tpmEstablished: false })
  assert.deepEqual(json('-g'), { flags: 0, fileKey: false, migrationKey: false })
  const refused = run('-i')
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /--json is for -c, -e, -g and -b/)
})
