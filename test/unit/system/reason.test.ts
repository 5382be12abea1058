import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { openSync } from 'node:fs'
import { connect } from 'node:net'
import { test } from 'node:test'
import { SwtpmError } from '../../../src/system/errors.ts'
import { check } from '../../../src/system/native/check.ts'
import { reasonOf } from '../../../src/system/reason.ts'

const TEXT = 'no such file or directory'

function thrownBy(action: () => void): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  assert.fail('nothing was thrown')
}

test('one errno has one text, wherever it comes from', async () => {
  assert.equal(reasonOf(thrownBy(() => openSync('/no/such/file', 'r'))), TEXT)
  assert.equal(reasonOf(thrownBy(() => check(-2, 'open "/no/such/file"'))), TEXT)
  assert.equal(reasonOf(spawnSync('/no/such/program').error), TEXT)
  const refused = await new Promise<Error>((resolve) => connect('/no/such/socket').once('error', resolve))
  assert.equal(reasonOf(refused), TEXT)
  // The ioctl package counts as C does.
  assert.equal(reasonOf(Object.assign(new Error('ioctl failed'), { errno: 2, code: 'ENOENT' })), TEXT)
})

test('the first address of a host that has several gives the reason', () => {
  const first = Object.assign(new Error('connect ECONNREFUSED ::1:1'), { errno: -111 })
  assert.equal(reasonOf(new AggregateError([first, new Error('another')])), 'connection refused')
})

test('errors without an errno have their message, other values their text', () => {
  assert.equal(reasonOf(new SwtpmError('SWTPM_ERR_LOG', 'Cannot log')), 'Cannot log')
  assert.equal(reasonOf(new Error('it is a symbolic link')), 'it is a symbolic link')
  assert.equal(reasonOf('text'), 'text')
})
