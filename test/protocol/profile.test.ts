/** A profile for the host: what its OpenSSL refuses, and what `remove-disabled` makes of it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { REFUSED_CRYPTO } from '../../contract/engine-channel.ts'
import { startEngineTpm } from '../hard/support/engine-tpm.ts'
import { projectRoot, Swtpm, temporaryDirectory } from '../support/swtpm.ts'

/** An engine on a host whose OpenSSL is to be in FIPS mode and has no provider for it: everything is refused. */
function engineThatIsRefusedAll(t: TestContext): string {
  const folder = temporaryDirectory(t)
  const [program, configuration] = [join(folder, 'engine'), join(folder, 'openssl.cnf')]
  writeFileSync(
    configuration,
    'openssl_conf = all\n[all]\nalg_section = algorithms\n[algorithms]\ndefault_properties = fips=yes\n',
  )
  const engine = join(projectRoot, 'native/build/Release/tpm-engine')
  writeFileSync(program, `#!/bin/sh\nexport OPENSSL_CONF=${configuration}\nexec ${engine} "$@"\n`, {
    mode: 0o755,
  })
  return program
}

async function refusedBy(t: TestContext, program?: string): Promise<number> {
  const path = temporaryDirectory(t)
  const engine = await startEngineTpm(program === undefined ? { path } : { path, program })
  const refused = await engine.checkCrypto()
  await engine.close()
  return refused
}

async function activeProfile(t: TestContext, removeDisabled: string) {
  const profile = `profile={"Name":"custom:host"},remove-disabled=${removeDisabled}`
  const args = ['--tpm2', '--profile', profile, '--print-info', '32']
  const swtpm = new Swtpm(['socket', ...args, '--tpmstate', `dir=${temporaryDirectory(t)}`])
  return { status: await swtpm.exited, stdout: swtpm.stdout, stderr: swtpm.stderr }
}

describe('a profile for the host', () => {
  it('the engine says what OpenSSL refuses', async (t) => {
    assert.equal(await refusedBy(t), 0)
    const all = Object.values<number>(REFUSED_CRYPTO).reduce((bits, bit) => bits | bit)
    assert.equal(await refusedBy(t, engineThatIsRefusedAll(t)), all)
  })

  it('remove-disabled decides what the TPM has', async (t) => {
    const [check, fips] = await Promise.all([activeProfile(t, 'check'), activeProfile(t, 'fips-host')])
    if (check.status !== 0) {
      for (const { stderr } of [check, fips]) assert.match(stderr, /it needs libtpms 0\.10 or later/)
      return
    }
    assert.match(check.stdout, /[",]tdes,/)
    assert.doesNotMatch(check.stdout, /no-sha1-signing/)
    assert.equal(fips.status, 0, fips.stderr)
    assert.doesNotMatch(fips.stdout, /[",](tdes|camellia|rsaes|ecc-nist-p192)[",]/)
    assert.match(fips.stdout, /rsa-min-size=2048.*no-sha1-signing/)
  })
})
