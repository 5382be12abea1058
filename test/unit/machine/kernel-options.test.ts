import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Kernel } from '../../../src/machine/kernel/kernel.ts'
import { optionsMissing } from '../../../src/machine/kernel/kernel-options.ts'
import { temporaryDirectory } from '../../support/swtpm.ts'

const CONFIG = 'CONFIG_TCG_TPM=y\nCONFIG_CUSE=m\n# CONFIG_TRUSTED_KEYS is not set\nCONFIG_TCG_TPM_NAME="y"\n'

describe('the options of a kernel', () => {
  const kernel = (directory: string, more: Partial<Kernel>): Kernel => ({
    ...{ series: directory, release: '6.12.1', image: join(directory, 'bzImage') },
    ...{ bzImage: join(directory, 'bzImage'), modules: undefined, directory: undefined },
    ...more,
  })

  it("are read from a package, a tree, and beside an installed kernel's image", (t) => {
    const directory = temporaryDirectory(t)
    mkdirSync(join(directory, 'boot'))
    writeFileSync(join(directory, 'boot/config-6.12.1'), CONFIG)
    writeFileSync(join(directory, '.config'), CONFIG)
    for (const [what, more] of [
      ['package', { directory }],
      ['tree', { modules: directory }],
      ['installed', { bzImage: join(directory, 'boot/vmlinuz-6.12.1') }],
    ] as const)
      assert.deepEqual(
        optionsMissing(kernel(directory, more), ['TCG_TPM', 'CUSE', 'TRUSTED_KEYS', 'TCG_TPM_NAME', 'TCG']),
        ['TRUSTED_KEYS', 'TCG_TPM_NAME', 'TCG'],
        what,
      )
  })

  it('are not known of an image alone', (t) => {
    assert.equal(optionsMissing(kernel(temporaryDirectory(t), {}), ['TCG_TPM']), undefined)
  })
})
