import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  keyParameter,
  specificationArguments,
} from '../../../../src/programs/swtpm_setup/certificate-arguments.ts'

test('the description of the TPM becomes options of the certificate tool', () => {
  const json = JSON.stringify({
    TPMSpecification: { family: '2.0', level: 0, revision: 164 },
    TPMAttributes: { manufacturer: 'id:00001014', model: 'swtpm', version: 'id:20191023' },
  })
  assert.deepEqual(specificationArguments(json), [
    ...['--tpm-spec-family', '2.0', '--tpm-spec-level', '0', '--tpm-spec-revision', '164'],
    ...['--tpm-manufacturer', 'id:00001014', '--tpm-model', 'swtpm', '--tpm-version', 'id:20191023'],
  ])
  assert.throws(
    () => specificationArguments('{"TPMSpecification":{}}'),
    /Could not find \[TPMSpecification\]\[family\]/,
  )
  assert.throws(() => specificationArguments('x'), /Could not get the TPM spec and attribute parameters/)
})

test('keys are written as the certificate tools take them', () => {
  assert.equal(keyParameter({ modulus: Buffer.from('00ff', 'hex') }, 'rsa2048'), '00ff')
  assert.equal(
    keyParameter({ curve: 4, x: Buffer.from([1]), y: Buffer.from([2]) }, 'secp384r1'),
    'x=01,y=02,id=secp384r1',
  )
})
