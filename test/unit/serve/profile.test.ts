import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { readProfile } from '../../../src/serve/profile.ts'
import { temporaryDirectory } from '../../support/swtpm.ts'

const json = (value: string) => ({ kind: 'json', json: value }) as const

describe('readProfile()', () => {
  it('gives the text as it is, without what is around it', (t) => {
    const text = '{"Name": "default-v1"}'
    assert.equal(readProfile({ source: json(text), removeDisabled: undefined }), text)
    const path = `${temporaryDirectory(t)}/profile`
    writeFileSync(path, `\n ${text}\n`)
    assert.equal(readProfile({ source: { kind: 'file', path }, removeDisabled: undefined }), text)
  })

  it('takes away what FIPS hosts do not have', () => {
    const text = '{"Name":"custom:mine","Algorithms":"rsa,camellia,tdes,aes,rsaes"}'
    assert.deepEqual(JSON.parse(readProfile({ source: json(text), removeDisabled: 'fips-host' })), {
      Name: 'custom:mine',
      Algorithms: 'rsa,aes',
      Attributes: 'fips-host',
    })
  })

  const refused: [text: string, removeDisabled: 'fips-host' | 'check' | undefined, message: RegExp][] = [
    ['{', undefined, /profile: it is not JSON/],
    ['[]', undefined, /has no "Name"/],
    ['null', undefined, /has no "Name"/],
    ['{"Name":"default-v1"}', 'fips-host', /is for profiles named "custom"/],
    ['{"Name":"custom"}', 'fips-host', /has no "Algorithms"/],
    ['{"Name":"custom"}', 'check', /remove-disabled=check: it is not supported/],
  ]
  for (const [text, removeDisabled, message] of refused) {
    it(`refuses ${text} with ${removeDisabled}`, () => {
      assert.throws(() => readProfile({ source: json(text), removeDisabled }), message)
    })
  }

  it('names a file that cannot be read', () => {
    assert.throws(
      () => readProfile({ source: { kind: 'file', path: '/nowhere/p' }, removeDisabled: undefined }),
      /"\/nowhere\/p": no such file or directory/,
    )
  })
})
