import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readTrustedFile } from '../../../../src/programs/common/read-trusted.ts'
import { temporaryFolder } from '../swtpm_setup/fixtures.ts'

const OTHER_USER = 12345
const NOT_ROOT = process.geteuid?.() === 0 ? false : 'it needs root, to have a folder of another user'

test('in a folder of our own a link is followed', (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'key'), 'secret')
  symlinkSync('key', join(folder, 'link'))
  assert.equal(String(readTrustedFile(join(folder, 'link'))), 'secret')
})

test('in a folder where others may write, only a file is read', { skip: NOT_ROOT }, (t) => {
  const parent = temporaryFolder(t)
  writeFileSync(join(parent, 'key'), 'secret')
  for (const [name, owner, mode] of [
    ['of another user', OTHER_USER, 0o700],
    ['of a group', 0, 0o770],
    ['of all', 0, 0o777],
  ] as const) {
    const folder = join(parent, name)
    mkdirSync(folder)
    symlinkSync('../key', join(folder, 'link'))
    writeFileSync(join(folder, 'file'), 'theirs')
    execFileSync('mkfifo', [join(folder, 'pipe')])
    chownSync(folder, owner, 0)
    chmodSync(folder, mode)
    assert.throws(() => readTrustedFile(join(folder, 'link')), /symbolic link in a folder of another user/)
    assert.throws(() => readTrustedFile(join(folder, 'pipe')), /no regular file/)
    assert.equal(String(readTrustedFile(join(folder, 'file'))), 'theirs')
  }
})
