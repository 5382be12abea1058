import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ConfigFile } from '../../../../src/programs/common/config-file.ts'
import { allProfiles } from '../../../../src/programs/swtpm_setup/profiles.ts'
import { setupCapabilities } from '../../../../src/programs/swtpm_setup/setup-capabilities.ts'
import { TpmCommandLine } from '../../../../src/programs/swtpm_setup/tpm-command-line.ts'
import { TpmFeatures } from '../../../../src/programs/swtpm_setup/tpm-features.ts'
import { temporaryFolder } from './fixtures.ts'

const BUILT_IN = [{ Name: 'default-v1', Description: 'd' }]

/** A program that answers the questions asked before a setup, as a new libtpms would have it. */
function fakeTpm(t: TestContext, features: readonly string[]): TpmCommandLine {
  const program = join(temporaryFolder(t), 'tpm')
  const capabilities = JSON.stringify({ features, profiles: { names: ['default-v1', 'custom'] } })
  writeFileSync(
    program,
    [
      '#!/bin/sh',
      'case "$*" in',
      `*print-capabilities*) echo '${capabilities}' ;;`,
      `*print-profiles*) echo '${JSON.stringify({ AvailableProfiles: BUILT_IN })}' ;;`,
      '*) echo "unknown option" >&2; echo usage >&2; exit 3 ;;',
      'esac\n',
    ].join('\n'),
    { mode: 0o755 },
  )
  return TpmCommandLine.parse(`${program}  first   second`)
}

const NEW_TPM = [
  'tpm-2.0',
  'rsa-keysize-1024',
  'rsa-keysize-2048',
  'rsa-keysize-4096',
  'cmdarg-profile',
  'cmdarg-print-profiles',
]

test('what the TPM can do decides what is offered', (t) => {
  const printed = setupCapabilities(fakeTpm(t, NEW_TPM))
  assert.match(printed, /^\{ "type": "swtpm_setup", "features": \[ "tpm-2\.0", "cmdarg-keyfile-fd", /)
  const { features, profiles } = JSON.parse(printed)
  assert.deepEqual(profiles, ['default-v1', 'custom'])
  assert.ok(features.includes('cmdarg-profile') && !features.includes('cmdarg-profile-remove-disabled'))
  assert.ok(features.includes('tpm2-rsa-keysize-4096') && !features.includes('tpm2-rsa-keysize-1024'))
})

test('a TPM 1.2 alone offers nothing of TPM 2', (t) => {
  const { features, profiles } = JSON.parse(setupCapabilities(fakeTpm(t, ['tpm-1.2'])))
  assert.equal(features[0], 'tpm-1.2')
  assert.ok(!features.some((feature: string) => /tpm2|keyalgo|profile/.test(feature)))
  assert.equal(profiles, undefined)
})

test('profiles are listed by where they are, those of files under the name of the file', (t) => {
  const local = join(temporaryFolder(t), 'profiles')
  mkdirSync(local)
  writeFileSync(join(local, 'mine.json'), '{"Name":"custom:other","Algorithms":"rsa"}')
  writeFileSync(join(local, 'broken.json'), '{')
  writeFileSync(join(local, 'no-name.json'), '{}')
  writeFileSync(join(local, 'readme.txt'), '')
  const command = fakeTpm(t, NEW_TPM)
  const config = new ConfigFile('setup.conf', `local_profiles_dir = ${local}`, {})
  const listed = JSON.parse(allProfiles(command, TpmFeatures.of(command, true), config))
  assert.deepEqual(listed.local, [{ Name: 'mine', Algorithms: 'rsa' }])
  assert.deepEqual(listed.builtin, BUILT_IN)
})

test('a program that fails is named with its fault, not with its usage', (t) => {
  assert.throws(
    () => fakeTpm(t, []).output(['--print-states']),
    ({ message }: Error) => /tpm exit with status 3: unknown option$/.test(message),
  )
  assert.throws(
    () => TpmCommandLine.parse('/nowhere/swtpm socket'),
    /swtpm at \/nowhere\/swtpm is not an executable/,
  )
  assert.throws(
    () => TpmFeatures.of(TpmCommandLine.parse('/bin/true'), true),
    /printed no capabilities: ""; is it swtpm\?/,
  )
})

test('a bare swtpm means its socket interface, any other program is called as given', (t) => {
  const swtpm = join(temporaryFolder(t), 'swtpm')
  writeFileSync(swtpm, '', { mode: 0o755 })
  assert.deepEqual(TpmCommandLine.parse(swtpm).words, [swtpm, 'socket'])
  assert.deepEqual(TpmCommandLine.parse(`${swtpm} chardev`).words, [swtpm, 'chardev'])
  assert.deepEqual(TpmCommandLine.parse('/bin/true').words, ['/bin/true'])
})
