/** Modules as an installed kernel and a build tree have them. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import type { MachineFault } from '../../../src/machine/machine-fault.ts'
import { collectModules } from '../../../src/machine/modules.ts'
import { type Cleanup, temporaryDirectory } from '../../support/swtpm.ts'

function files(t: Cleanup, contents: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory(t)
  for (const [name, text] of Object.entries(contents)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), text)
  }
  return directory
}

const moduleOf = (...depends: string[]): string => `ELF\0depends=${depends.join(',')}\0name=x\0`

const INSTALLED = {
  'modules.builtin': 'kernel/drivers/virtio/virtio-pci.ko\n',
  'kernel/drivers/char/tpm/tpm_tis.ko': moduleOf('tpm_tis_core'),
  'kernel/drivers/char/tpm/tpm_tis_core.ko': moduleOf('tpm'),
  'kernel/drivers/char/tpm/tpm.ko': moduleOf(),
}
const TREE = {
  'include/config/kernel.release': '6.12.0\n',
  'kernel/sched/core.c': '',
  'modules.builtin': 'drivers/virtio/virtio_pci.o\n',
  'modules.order': 'drivers/char/tpm/tpm.o\ndrivers/char/tpm/tpm_crb.ko\n',
  'drivers/char/tpm/tpm.ko': moduleOf(),
  'drivers/char/tpm/tpm_crb.ko': moduleOf('tpm'),
}

const names = (...args: Parameters<typeof collectModules>): string[] =>
  collectModules(...args).map(({ name }) => name)

describe('modules of a kernel', () => {
  it('come with what they depend on, in an order in which they load', (t) => {
    const directory = files(t, INSTALLED)
    assert.deepEqual(names(directory, { required: ['virtio_pci', 'tpm_tis'] }), [
      'tpm',
      'tpm_tis_core',
      'tpm_tis',
    ])
  })

  it('are found in a build tree, whose folder "kernel" is none of modules', (t) => {
    assert.deepEqual(names(files(t, TREE), { required: ['virtio_pci', 'tpm_crb'] }), ['tpm', 'tpm_crb'])
  })

  it('give way to a module of one’s own, and need those that it needs', (t) => {
    const own = files(t, { 'tpm-tis.ko': `${moduleOf('tpm')}patched` })
    const modules = collectModules(files(t, INSTALLED), {
      required: ['tpm_tis'],
      own: [join(own, 'tpm-tis.ko')],
    })
    assert.deepEqual(
      modules.map(({ name }) => name),
      ['tpm', 'tpm_tis'],
    )
    assert.match(String(modules[1]?.data), /patched/)
  })

  it('that are missing are named by the option that gives them', (t) => {
    const directory = files(t, INSTALLED)
    assert.deepEqual(names(directory, { required: [], wanted: ['ext4'] }), [])
    assert.throws(
      () => names(directory, { required: ['tpm_vtpm_proxy'] }),
      (error: MachineFault) =>
        /The kernel has no "tpm_vtpm_proxy"/.test(error.message) &&
        /CONFIG_TCG_VTPM_PROXY=y/.test(error.hint ?? ''),
    )
  })
})
