/** A root directory in memory, tried by unpacking it and living in it. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { cpio } from '../../../src/machine/cpio.ts'
import { MachineFault } from '../../../src/machine/machine-fault.ts'
import { MemoryRoot } from '../../../src/machine/memory-root.ts'
import { withoutQemu } from '../../support/qemu-image.ts'
import { temporaryDirectory } from '../../support/swtpm.ts'

const skip = withoutQemu || (process.geteuid?.() === 0 ? false : 'needs root, for chroot')

describe('MemoryRoot', { skip }, () => {
  it('has programs with their libraries, scripts with their interpreters, links, and busybox for the rest', (t) => {
    const host = temporaryDirectory(t)
    writeFileSync(join(host, 'script'), '#!/usr/bin/python3 -S\nprint("run by python")\n')
    chmodSync(join(host, 'script'), 0o755)
    mkdirSync(join(host, 'folder'))
    writeFileSync(join(host, 'folder/file'), 'in a folder\n')
    symlinkSync('folder/file', join(host, 'link'))
    const root = new MemoryRoot()
    for (const path of ['/usr/bin/env', join(host, 'link'), join(host, 'script')]) root.add(path)

    const place = temporaryDirectory(t)
    execFileSync('busybox', ['cpio', '-idm'], {
      cwd: place,
      input: cpio(root.entries()),
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    const inside = (...words: string[]) => spawnSync('chroot', [place, ...words], { encoding: 'utf8' })
    assert.equal(inside('/usr/bin/env', 'A=b', 'sh', '-c', 'echo $A').stdout, 'b\n')
    assert.equal(inside('/bin/sh', '-c', `cat ${host}/link | wc -c`).stdout.trim(), '12')
    assert.match(inside('/bin/sh', '-c', 'ls -l /usr/bin/env /usr/bin/vi').stdout, /env\n.*vi -> .*busybox\n/)
    // Python finds its library only where it has been put, but its interpreter is there and runs.
    assert.doesNotMatch(inside(join(host, 'script')).stderr, /No such file or directory/)
  })

  it('says what it cannot find', () => {
    assert.throws(() => new MemoryRoot().add('/nowhere/at/all'), MachineFault)
  })
})
