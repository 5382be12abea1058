import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { fstatSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { bin, temporaryDirectory } from '../support/swtpm.ts'

it('a line has its priority where standard error is the journal, and only there', (t) => {
  const path = join(temporaryDirectory(t), 'journal')
  const fd = openSync(path, 'a')
  const { dev, ino } = fstatSync(fd)
  const run = (stream: string): void => {
    const env = { ...process.env, JOURNAL_STREAM: stream }
    const args = ['socket', '--tpm2', '--tpmstate', 'dir=/no/such', '--server', 'port=0']
    spawnSync(bin('swtpm'), args, { env, stdio: ['ignore', 'ignore', fd] })
  }
  run(`${dev}:${ino}`)
  run(`${dev}:${ino + 1}`)
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  assert.equal(lines.length, 2)
  assert.match(lines[0] ?? '', /^<3>swtpm: Cannot/)
  assert.match(lines[1] ?? '', /^swtpm: Cannot/)
})
