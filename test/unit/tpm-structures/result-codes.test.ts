/** Response codes in words, and back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseResultCode, resultNames, resultText } from '../../../src/tpm-structures/result-codes.ts'

test('codes that point at a handle, session or parameter', () => {
  assert.equal(resultText(0x18b, '2'), 'HANDLE at handle 1')
  assert.equal(resultText(0x98e, '2'), 'AUTH_FAIL at session 1')
  assert.equal(resultText(0x1c4, '2'), 'VALUE at parameter 1')
  assert.equal(resultText(0x84, '2'), 'VALUE')
})

test('a name, with a place where one is possible', () => {
  assert.equal(parseResultCode('RETRY'), 0x922)
  assert.equal(parseResultCode('tpm_rc_Context_Gap'), 0x901)
  assert.equal(parseResultCode('HASH@p1'), 0x1c3)
  assert.equal(parseResultCode('AUTH_FAIL@s1'), 0x98e)
  assert.equal(parseResultCode('HANDLE@h2'), 0x28b)
  assert.equal(parseResultCode('0xdead'), 0xdead)
  assert.equal(parseResultCode('DEACTIVATED'), 6)
  assert.equal(parseResultCode('RETRY', '1.2'), 0x800)
  for (const wrong of ['RETRY@p1', 'HASH@p16', 'HASH@s8', 'HASH@h0', 'HASH@', 'FOO', '', '0x123456789'])
    assert.equal(parseResultCode(wrong), undefined, wrong)
})

test('each name is read back', () => {
  for (const name of resultNames()) {
    const code = parseResultCode(name)
    assert.ok(code !== undefined, name)
    assert.ok([resultText(code, '2'), resultText(code, '1.2')].includes(name), name)
  }
})
