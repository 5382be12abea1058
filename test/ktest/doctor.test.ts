/** `swtpm doctor` on a machine of its own, whose modules are taken away: what it says is what a start then says. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DiagnosedUse } from '../support/doctor.ts'
import { runKtest, withoutKernel } from '../support/ktest.ts'

const SERIES = '6.1'
const SCRIPT = `
busybox rmmod cuse 2>/dev/null; busybox rmmod tpm_vtpm_proxy 2>/dev/null
swtpm doctor --json cuse vtpm-proxy; echo "code $?"
swtpm cuse -n doctor --tpm2 --tpmstate dir=/tmp 2>&1
swtpm chardev --vtpm-proxy --tpm2 --tpmstate dir=/tmp 2>&1
modules=/lib/modules/$(uname -r); mkdir -p $modules
echo 'kernel/fs/fuse/cuse.ko: kernel/fs/fuse/fuse.ko' >$modules/modules.dep
swtpm doctor cuse
echo 'kernel/fs/fuse/fuse.ko:' >$modules/modules.dep
swtpm doctor cuse
exit 0`

describe('swtpm doctor without the modules', () => {
  it('names them, with the words of the start', async (t) => {
    const lacking = await withoutKernel(SERIES)
    if (lacking) return t.skip(lacking)
    const { code, stdout, stderr } = await runKtest([
      '--kernel',
      SERIES,
      '--tpm',
      'tis',
      '--',
      'sh',
      '-c',
      SCRIPT,
    ])
    assert.equal(code, 0, stderr)
    const [json = '', rest = ''] = stdout.split('code 1\n')
    const { uses } = JSON.parse(json) as { uses: DiagnosedUse[] }
    for (const [use, module, path] of [
      ['cuse', 'cuse', '/dev/cuse'],
      ['vtpm-proxy', 'tpm_vtpm_proxy', '/dev/vtpmx'],
    ] as const) {
      const { works, checks } = uses.find((each) => each.use === use)!
      assert.equal(works, false)
      const device = checks.find(({ id }) => id === 'device')
      assert.equal(device?.mend, `modprobe ${module}`)
      assert.match(
        rest,
        new RegExp(`Cannot open "${path}": no such file or directory; .*: \`modprobe ${module}\``),
      )
    }
    assert.match(rest, /the module cuse is not loaded\s+→ modprobe cuse/)
    assert.match(rest, /has been built without CONFIG_CUSE; Debian's has it\s+→ apt-get install linux-image-/)
  })
})
