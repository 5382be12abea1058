/** Sentences for failures, and what is to blame for them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { SwtpmError } from '../../../src/system/errors.ts'
import { isFault, sentenceOf } from '../../../src/system/fault.ts'
import { SystemError } from '../../../src/system/native/check.ts'
import { reasonOf } from '../../../src/system/reason.ts'
import { temporaryDirectory } from '../../support/swtpm.ts'

function sentenceFor(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    assert(isFault(error))
    return sentenceOf(error)
  }
  assert.fail('nothing was thrown')
}

test('a system error is a sentence, whatever call of Node it comes from', async () => {
  const none = 'no such file or directory'
  assert.equal(
    sentenceFor(() => statSync('/no/such')),
    `Cannot look at "/no/such": ${none}`,
  )
  assert.equal(
    sentenceFor(() => readdirSync('/no/such')),
    `Cannot read directory "/no/such": ${none}`,
  )
  assert.equal(
    sentenceFor(() => renameSync('/no/a', '/no/b')),
    `Cannot rename "/no/a" to "/no/b": ${none}`,
  )
  assert.equal(sentenceOf(spawnSync('/no/such').error), `Cannot start "/no/such": ${none}`)
  const refused = await new Promise((resolve) => connect(1, '127.0.0.1').once('error', resolve))
  assert.equal(sentenceOf(refused), 'Cannot connect to 127.0.0.1 port 1: connection refused')
  const cwd = Object.assign(new Error('…'), { errno: -2, code: 'ENOENT', syscall: 'uv_cwd' })
  assert.equal(sentenceOf(cwd), `Cannot find the working directory: ${none}`)
  assert.equal(sentenceOf(new SwtpmError('SWTPM_ERR_LOG', 'Cannot log')), 'Cannot log')
})

test('a mistake in the program is none, and shows where it is', () => {
  const mistake = new TypeError('x is undefined')
  assert(!isFault(mistake))
  assert.match(sentenceOf(mistake), /^Internal error, please report it: TypeError: x is undefined\n\s+at /)
})

test('the part of the path that is to blame is named', (t) => {
  const directory = temporaryDirectory(t)
  const [file, link] = [join(directory, 'file'), join(directory, 'link')]
  writeFileSync(file, '')
  symlinkSync(link, link)
  assert.equal(
    sentenceFor(() => statSync(join(file, 'a', 'b'))),
    `Cannot look at "${file}/a/b": not a directory ("${file}" is no directory)`,
  )
  assert.equal(
    sentenceFor(() => statSync(link)),
    `Cannot look at "${link}": too many symbolic links encountered (it is a symbolic link)`,
  )
  assert.match(new SystemError(-24, 'make a socket').message, /too many open files \(`ulimit -n` raises/)
  const denied = Object.assign(new Error('…'), { errno: -13, code: 'EACCES', path: file })
  assert.match(reasonOf(denied), /^permission denied \(user \S+\)$/)
})
