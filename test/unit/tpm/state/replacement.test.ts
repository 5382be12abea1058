/** What an interrupted replacement has left is put in order, in that directory alone: its owner may be another user than who does that. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { completeReplacements, NEW_TPM_FOLDER } from '../../../../src/tpm/state/replacement.ts'
import { temporaryDirectory } from '../../../support/swtpm.ts'

const FOLDER = `${NEW_TPM_FOLDER}x`

/** A state directory beside which there is a file that nothing may happen to. */
function place(t: TestContext) {
  const top = temporaryDirectory(t)
  const [state, victim] = [join(top, 'state'), join(top, 'victim')]
  mkdirSync(state)
  writeFileSync(victim, 'kept')
  writeFileSync(join(state, 'journal'), 'of the old TPM')
  return { state, victim }
}

const entry = (directory: string, name: string) => {
  const { size, mtimeMs } = statSync(join(directory, name))
  return { name, size, mtimeMs }
}

it('removes what the old TPM has left, and nothing outside', (t) => {
  const { state, victim } = place(t)
  mkdirSync(join(state, FOLDER))
  const names = ['../victim', 'journal', victim.slice(1), '..', '.']
  const list = [
    ...names.filter((name) => existsSync(join(state, name))).map((name) => entry(state, name)),
    ...[null, 7, {}, { name: 7 }],
  ]
  writeFileSync(join(state, FOLDER, 'obsolete'), JSON.stringify(list))
  completeReplacements(state)
  assert.ok(existsSync(victim))
  assert.deepEqual(readdirSync(state), [])
})

it('takes a list that is none for an empty one', (t) => {
  const { state } = place(t)
  for (const text of ['', 'null', '{}', '"journal"']) {
    mkdirSync(join(state, FOLDER))
    writeFileSync(join(state, FOLDER, 'obsolete'), text)
    completeReplacements(state)
    assert.deepEqual(readdirSync(state), ['journal'], text)
  }
})

it('follows no link to a folder elsewhere', (t) => {
  const { state } = place(t)
  const elsewhere = temporaryDirectory(t)
  writeFileSync(join(elsewhere, 'obsolete'), '[]')
  symlinkSync(elsewhere, join(state, FOLDER))
  completeReplacements(state)
  assert.deepEqual(readdirSync(elsewhere), ['obsolete'])
})
