import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { REFUSED_CRYPTO } from '../../../contract/engine-channel.ts'
import { type AboutHost, readProfile } from '../../../src/serve/profile.ts'
import { temporaryDirectory } from '../../support/swtpm.ts'

const CUSTOM = 'rsa,rsa-min-size=1024,tdes,tdes-min-size=128,aes,ecc,ecc-min-size=192,ecc-nist-p192,rsaes'
const json = (value: string) => ({ kind: 'json', json: value }) as const

/** @param refused what OpenSSL refuses */
const host = (refused = 0): AboutHost => ({
  refusedCrypto: async () => refused,
  customAlgorithms: async () => CUSTOM,
})

const read = (profile: object, removeDisabled: 'check' | 'fips-host', about = host()) =>
  readProfile({ source: json(JSON.stringify(profile)), removeDisabled })
    .forHost(about)
    .then(JSON.parse)

describe('readProfile()', () => {
  it('gives the text as it is, without what is around it', async (t) => {
    const text = '{"Name": "default-v1"}'
    assert.equal(await readProfile({ source: json(text), removeDisabled: undefined }).forHost(host()), text)
    const path = `${temporaryDirectory(t)}/profile`
    writeFileSync(path, `\n ${text}\n`)
    assert.equal(
      await readProfile({ source: { kind: 'file', path }, removeDisabled: undefined }).forHost(host()),
      text,
    )
  })

  const ALL_USES = 'no-sha1-signing,no-sha1-verification,no-unpadded-encryption'
  const SMALL = 'ecc-min-size=224,rsa-min-size=2048'
  const changed: [string, given: object, way: 'check' | 'fips-host', refused: number, expected: object][] = [
    [
      'what FIPS hosts do not have goes, whatever this host has',
      { Name: 'custom:mine', Algorithms: 'rsa,camellia,camellia-min-size=128,aes,rsaes,ecc-nist-p192' },
      ...(['fips-host', 0] as const),
      { Name: 'custom:mine', Algorithms: `rsa,aes,${SMALL}`, Attributes: ALL_USES },
    ],
    [
      "without a list it is that of libtpms's own profile; smaller keys are raised",
      { Name: 'custom' },
      ...(['fips-host', 0] as const),
      {
        Name: 'custom',
        Algorithms: 'rsa,rsa-min-size=2048,aes,ecc,ecc-min-size=224',
        Attributes: ALL_USES,
      },
    ],
    [
      'larger keys and an attribute that says it all stay; of two values the last counts',
      {
        Name: 'custom',
        Algorithms: 'rsa-min-size=1024,rsa,rsa-min-size=3072,ecc-min-size=256',
        Attributes: 'fips-host',
        More: 1,
      },
      ...(['fips-host', 0] as const),
      {
        Name: 'custom',
        Algorithms: 'rsa,rsa-min-size=3072,ecc-min-size=256',
        Attributes: 'fips-host',
        More: 1,
      },
    ],
    [
      'check leaves all to a host that refuses nothing',
      { Name: 'custom' },
      ...(['check', 0] as const),
      { Name: 'custom', Algorithms: CUSTOM },
    ],
    [
      'check takes what is refused, and no more',
      { Name: 'custom', Algorithms: 'rsa,tdes,tdes-min-size=128,rsaes', Attributes: 'pct,no-sha1-signing' },
      'check',
      REFUSED_CRYPTO.tdes | REFUSED_CRYPTO.sha1Signing | REFUSED_CRYPTO.unpaddedEncryption,
      { Name: 'custom', Algorithms: 'rsa,rsaes', Attributes: 'pct,no-sha1-signing,no-unpadded-encryption' },
    ],
    [
      'HMAC with SHA-1 is taken where it is refused, also beside fips-host',
      { Name: 'custom', Algorithms: 'rsa', Attributes: 'fips-host' },
      'check',
      REFUSED_CRYPTO.sha1Signing | REFUSED_CRYPTO.sha1Hmac,
      { Name: 'custom', Algorithms: 'rsa', Attributes: 'fips-host,no-sha1-hmac' },
    ],
    [
      'other profiles are used as they are',
      { Name: 'default-v1' },
      ...(['fips-host', 0] as const),
      { Name: 'default-v1' },
    ],
  ]
  for (const [what, given, way, refused, expected] of changed) {
    it(what, async () => assert.deepEqual(await read(given, way, host(refused)), expected))
  }

  it('says what is wrong', async () => {
    const refused: [text: string, removeDisabled: 'fips-host' | undefined, message: RegExp][] = [
      ['{', undefined, /profile: it is not JSON/],
      ['[]', undefined, /has no "Name"/],
      ['null', undefined, /has no "Name"/],
      ['{"Name":"custom","Algorithms":7}', 'fips-host', /its "Algorithms" is no text/],
    ]
    for (const [text, removeDisabled, message] of refused) {
      assert.throws(() => readProfile({ source: json(text), removeDisabled }), message)
    }
    await assert.rejects(
      read({ Name: 'custom' }, 'fips-host', { ...host(), customAlgorithms: async () => undefined }),
      /needs libtpms 0\.10/,
    )
    assert.throws(
      () => readProfile({ source: { kind: 'file', path: '/nowhere/p' }, removeDisabled: undefined }),
      /"\/nowhere\/p": no such file or directory/,
    )
  })
})
