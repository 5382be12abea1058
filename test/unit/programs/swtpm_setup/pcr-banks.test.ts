import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bankName, chooseBanks, splitBanks } from '../../../../src/programs/swtpm_setup/pcr-banks.ts'

const tpm = [4, 11, 12].map((algorithm) => ({ algorithm, active: true }))

test('wanted banks are activated, all others deactivated, unknown ones ignored', () => {
  assert.deepEqual(chooseBanks(['sha256', 'sm3-256', 'sha256'], tpm), [
    { algorithm: 4, active: false },
    { algorithm: 11, active: true },
    { algorithm: 12, active: false },
  ])
})

test('no bank at all is refused with what there is', () => {
  assert.throws(() => chooseBanks(['sha999'], tpm), /Selected: sha999; supported: sha1,sha256,sha384/)
})

test('names are trimmed, an unknown algorithm is named by its number', () => {
  assert.deepEqual(splitBanks(' sha1, ,sha256'), ['sha1', 'sha256'])
  assert.equal(bankName(5), '05')
})
