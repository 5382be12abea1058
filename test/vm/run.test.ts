/** `swtpm run --device`: a device of the kernel for the length of a command, by whichever way the kernel has. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { projectRoot } from '../support/swtpm.ts'

const tpmNodes = (): string[] => readdirSync('/dev').filter((name) => /^v?tpm(rm)?\d/.test(name))

function random(): { tcti: string; digits: string } {
  const before = tpmNodes()
  const script = 'echo "$TPM2TOOLS_TCTI"; tpm2_getrandom --hex 8'
  const { status, stdout, stderr } = spawnSync(
    join(projectRoot, 'bin/swtpm'),
    ['run', '--device', '--', 'sh', '-c', script],
    { encoding: 'utf8' },
  )
  assert.equal(stderr, '')
  assert.equal(status, 0)
  assert.deepEqual(tpmNodes(), before)
  const [tcti = '', digits = ''] = stdout.split('\n')
  return { tcti, digits }
}

describe('swtpm run --device', () => {
  it('makes a device of the kernel itself', () => {
    const { tcti, digits } = random()
    assert.match(tcti, /^device:\/dev\/tpmrm\d+$/)
    assert.match(digits, /^[0-9a-f]{16}$/)
  })

  it('makes a CUSE device where there is no vTPM proxy', (t) => {
    renameSync('/dev/vtpmx', '/dev/vtpmx-away')
    t.after(() => renameSync('/dev/vtpmx-away', '/dev/vtpmx'))
    const { tcti, digits } = random()
    assert.match(tcti, /^device:\/dev\/vtpm\d+$/)
    assert.match(digits, /^[0-9a-f]{16}$/)
  })
})
