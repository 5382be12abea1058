import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { UserFiles } from '../../../../src/programs/swtpm_setup/user-files.ts'
import { temporaryFolder } from './fixtures.ts'

test('files get their names together', (t) => {
  const folder = temporaryFolder(t)
  const files = new UserFiles(folder, false)
  files.add('a.crt', Buffer.from('a'))
  files.add('b.crt', Buffer.from('b'))
  assert.deepEqual(readdirSync(folder), ['a.crt.swtpm_setup', 'b.crt.swtpm_setup'])
  files.publish()
  files.discard()
  assert.deepEqual(readdirSync(folder), ['a.crt', 'b.crt'])
})

test('what a run that failed or was killed has left goes', (t) => {
  const folder = temporaryFolder(t)
  new UserFiles(folder, false).add('a.crt', Buffer.from('killed'))
  const files = new UserFiles(folder, false)
  files.add('a.crt', Buffer.from('a'))
  files.discard()
  assert.deepEqual(readdirSync(folder), [])
})

test('an existing file is never overwritten, also when it comes in between', (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'a.crt')
  const files = new UserFiles(folder, false)
  files.add('a.crt', Buffer.from('new'))
  writeFileSync(path, 'precious')
  assert.throws(() => files.publish(), /Cannot write file ".*a\.crt": file already exists/)
  assert.throws(() => files.add('a.crt', Buffer.from('new')), /another file of this name/)
  assert.equal(readFileSync(path, 'utf8'), 'precious')
  files.add('a.crt', Buffer.from('precious'))
})

test('former files are kept under numbers', (t) => {
  const folder = temporaryFolder(t)
  for (const content of ['1', '2', '3']) {
    const files = new UserFiles(folder, true)
    files.add('a.crt', Buffer.from(content))
    files.publish()
  }
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8')
  assert.deepEqual(['a.crt', 'a.crt.old', 'a.crt.old2'].map(read), ['3', '1', '2'])
})
