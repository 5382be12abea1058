import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ConfigFile } from '../../../../src/programs/common/config-file.ts'
import { readOptions } from '../../../../src/programs/common/options/read-options.ts'
import { type Choices, setupChoices } from '../../../../src/programs/swtpm_setup/setup-choices.ts'
import { SETUP_OPTIONS } from '../../../../src/programs/swtpm_setup/setup-options.ts'
import { setupTask, type Task } from '../../../../src/programs/swtpm_setup/setup-task.ts'
import { TpmFeatures } from '../../../../src/programs/swtpm_setup/tpm-features.ts'
import { temporaryFolder } from './fixtures.ts'

const FEATURES = ['tpm-2.0', 'rsa-keysize-1024', 'rsa-keysize-2048', 'rsa-keysize-3072']
const plain = new TpmFeatures(JSON.stringify({ features: FEATURES }))
const withProfiles = new TpmFeatures(
  JSON.stringify({
    features: [...FEATURES, 'cmdarg-profile'],
    profiles: { names: ['default-v1', 'custom'] },
  }),
)

function task(t: TestContext, ...argv: string[]): Task {
  return setupTask(readOptions(SETUP_OPTIONS, ['--tpm-state', temporaryFolder(t), ...argv]))
}

function choices(t: TestContext, argv: string[], config = '', features = plain): Choices {
  const options = readOptions(SETUP_OPTIONS, ['--tpm-state', temporaryFolder(t), ...argv])
  return setupChoices(options, setupTask(options), new ConfigFile('setup.conf', config, {}), features)
}

test('a TPM 1.2 refuses what only a TPM 2 has, and the other way round', (t) => {
  for (const option of [
    '--ecc',
    '--create-spk',
    '--reconfigure',
    '--allow-signing',
    '--decryption',
    '--pcr-banks=-',
  ]) {
    assert.throws(() => task(t, option), new RegExp(`${option.replace(/=.*/, '')} requires --tpm2`))
  }
  assert.throws(() => task(t, '--profile', '{}'), /no --profile support for TPM 1.2/)
  assert.throws(() => task(t, '--tpm2', '--take-ownership'), /Taking ownership is not supported for TPM 2/)
})

test('options that contradict each other are refused', (t) => {
  assert.throws(
    () => task(t, '--tpm2', '--reconfigure', '--create-ek-cert'),
    /not supported with creation of EK/,
  )
  assert.throws(
    () => task(t, '--tpm2', '--reconfigure', '--profile', '{}'),
    /does not accept a \(new\) profile/,
  )
  assert.throws(() => task(t, '--tpm2', '--profile', '{}', '--profile-file', 'f'), /Only one of --profile, /)
  assert.throws(() => task(t, '--cipher', 'aes-192-cbc'), /Unsupported cipher aes-192-cbc; use aes-128-cbc/)
  assert.throws(() => setupTask(readOptions(SETUP_OPTIONS, ['--overwrite'])), /--tpm-state must be provided/)
})

test('certificates and ownership imply the endorsement key', (t) => {
  assert.equal(task(t).createEk, false)
  for (const option of ['--create-ek-cert', '--create-platform-cert', '--take-ownership']) {
    assert.equal(task(t, option).createEk, true, option)
  }
})

test('passwords default to ooo and sss, well-known ones have no text', (t) => {
  assert.deepEqual(task(t, '--take-ownership').ownership, { ownerPassword: 'ooo', srkPassword: 'sss' })
  assert.deepEqual(task(t, '--take-ownership', '--owner-well-known', '--srkpass', 'x').ownership, {
    ownerPassword: undefined,
    srkPassword: 'x',
  })
})

test('a key reaches swtpm as a file name or a descriptor, never as itself', (t) => {
  const file = join(temporaryFolder(t), 'pwd')
  writeFileSync(file, 'secret')
  assert.deepEqual(task(t, '--pwdfile', file, '--cipher', 'aes-256-cbc').encryption?.args, [
    '--key',
    `pwdfile=${file},mode=aes-256-cbc`,
  ])
  const [passed] = task(t, '--keyfile-fd', '0').encryption!.passedFds
  assert.deepEqual([passed?.fd, passed?.option(7)], [0, ['--key', 'fd=7,mode=aes-128-cbc']])
  assert.throws(
    () => task(t, '--pwdfile-fd', '987'),
    /Cannot use descriptor 987 for --pwdfile-fd: it is not open/,
  )
  assert.throws(
    () => task(t, '--pwdfile-fd', 'x'),
    /Cannot use descriptor "x" for --pwdfile-fd: it is not a number/,
  )
  assert.throws(() => task(t, '--keyfile', '/nowhere'), /cannot read keyfile \/nowhere/)
})

test('PCR banks come from the command line, then the configuration, then are sha256', (t) => {
  const config = 'active_pcr_banks = sha1,sha384'
  assert.equal(
    choices(t, ['--tpm2', '--pcr-banks', 'sha1', '--pcr-banks', 'sha512'], config).pcrBanks,
    'sha1,sha512',
  )
  assert.equal(choices(t, ['--tpm2', '--pcr-banks', ' , '], config).pcrBanks, 'sha1,sha384')
  assert.equal(choices(t, ['--tpm2']).pcrBanks, 'sha256')
})

test('the EKs are RSA 2048 and P-384 unless something else is chosen', (t) => {
  assert.deepEqual(choices(t, ['--tpm2']).ekAlgorithms, ['rsa2048', 'secp384r1'])
  assert.deepEqual(choices(t, ['--tpm2', '--rsa-keysize', 'max']).ekAlgorithms, ['rsa3072', 'secp384r1'])
  assert.deepEqual(choices(t, ['--tpm2'], 'rsa_keysize = 3072').ekAlgorithms, ['rsa3072', 'secp384r1'])
  assert.deepEqual(choices(t, ['--tpm2', '--ek1keyalgo', 'ecc_nist_p384']).ekAlgorithms, ['secp384r1'])
  assert.throws(() => choices(t, ['--tpm2', '--rsa-keysize', '4096']), /4096 bit RSA keys are not supported/)
  assert.throws(
    () => choices(t, ['--tpm2', '--rsa-keysize', '2222']),
    /Unsupported RSA key size 2222; use 2048/,
  )
  assert.throws(() => choices(t, ['--tpm2', '--ek2keyalgo', 'dsa']), /Key algorithm dsa of ek2keyalgo/)
})

test('device keys need an EK certificate', (t) => {
  assert.throws(
    () => choices(t, ['--tpm2', '--iakkeyalgo', 'rsa2048']),
    /EK certificate must be created as well/,
  )
  const both = choices(
    t,
    ['--tpm2', '--create-ek-cert', '--iakkeyalgo', 'rsa2048'],
    'idevidkeyalgo = secp256r1',
  )
  assert.deepEqual([both.iakAlgorithm, both.idevidAlgorithm], ['rsa2048', 'secp256r1'])
  assert.equal(choices(t, ['--tpm2', '--no-iak'], 'iakkeyalgo = rsa2048').iakAlgorithm, undefined)
})

test('a profile must be one that the TPM knows', (t) => {
  const profile = (argv: string[], config = '', features = withProfiles) =>
    choices(t, ['--tpm2', ...argv], config, features).profile
  assert.deepEqual(profile(['--profile', '{"Name":"default-v1"}']), { json: '{"Name":"default-v1"}' })
  assert.deepEqual(profile(['--profile-name', 'builtin:custom']), { json: '{"Name":"custom"}' })
  assert.deepEqual(profile(['--profile', '{"Name":"custom:mine"}']), { json: '{"Name":"custom:mine"}' })
  assert.throws(
    () => profile(['--profile', '{"Name":"x"}']),
    /no.* profile with name 'x'; it has default-v1, custom/,
  )
  assert.throws(() => profile(['--profile', '{}']), /Failed to get 'Name'/)
  assert.throws(() => profile(['--profile', 'x']), /is no JSON/)
  assert.throws(() => profile(['--profile-name', '../x']), /unacceptable characters/)
  assert.throws(() => profile(['--profile-name', 'local:x']), /no local_profiles_dir is configured/)
  assert.throws(() => profile(['--profile', '{"Name":"custom"}'], '', plain), /has no profiles/)
})

test('a configured default profile is no demand on a TPM without profiles', (t) => {
  const config = 'profile = {"Name":"default-v1"}'
  assert.deepEqual(choices(t, ['--tpm2'], config, withProfiles).profile, { json: '{"Name":"default-v1"}' })
  assert.equal(choices(t, ['--tpm2'], config, plain).profile, undefined)
  assert.equal(choices(t, ['--tpm2', '--reconfigure'], config, withProfiles).profile, undefined)
})

test('a profile by name is the local file before the built-in one', (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'default-v1.json'), '{"Name":"custom:own"}')
  const config = `local_profiles_dir = ${folder}`
  const chosen = choices(t, ['--tpm2', '--profile-name', 'default-v1'], config, withProfiles).profile
  assert.ok(chosen !== undefined && 'fd' in chosen)
})
