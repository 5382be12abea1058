/** States with a profile: made, used and told by our programs and, where it knows profiles, by the C program. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { bin, REFERENCE_SWTPM, temporaryDirectory } from '../support/swtpm.ts'

interface Programs {
  readonly swtpm: string
  readonly setup: string
}
const OURS: Programs = { swtpm: bin('swtpm'), setup: bin('swtpm_setup') }
const THEIRS: Programs = { swtpm: REFERENCE_SWTPM, setup: '/usr/bin/swtpm_setup' }

/** What a program says it can do. */
const capabilities = (program: string): { features: string[]; profiles?: object } =>
  JSON.parse(execFileSync(program, ['socket', '--tpm2', '--print-capabilities'], { encoding: 'utf8' }))

const knowsProfiles = (program: string): boolean => capabilities(program).features.includes('cmdarg-profile')
const noProfiles = knowsProfiles(OURS.swtpm) ? false : 'profiles need libtpms 0.10 or later'
const noReference =
  noProfiles ||
  (existsSync(REFERENCE_SWTPM) && existsSync(THEIRS.setup) && knowsProfiles(REFERENCE_SWTPM)
    ? false
    : `${REFERENCE_SWTPM} does not know profiles, or is missing: apt install swtpm swtpm-tools`)

function make({ swtpm, setup }: Programs, directory: string, ...profile: string[]): void {
  const { status, stderr, stdout } = spawnSync(
    setup,
    ['--tpm2', '--tpm', `${swtpm} socket`, '--tpmstate', directory, '--config', '/dev/null', ...profile],
    { encoding: 'utf8' },
  )
  assert.equal(status, 0, `${stdout}${stderr}`)
}

/** The profile that the TPM of a state has, as the program tells it. */
const activeProfile = ({ swtpm }: Programs, directory: string): { Name: string; Algorithms: string } =>
  JSON.parse(
    execFileSync(swtpm, ['socket', '--tpm2', '--tpmstate', `dir=${directory}`, '--print-info', '32'], {
      encoding: 'utf8',
    }),
  ).ActiveProfile

const PROFILES = [
  ['default-v1', ['--profile-name', 'default-v1']],
  ['null', ['--profile-name', 'null']],
  ['custom:mine', ['--profile', '{"Name":"custom:mine","Description":"one of our own"}']],
] as const

test('swtpm_setup gives a TPM its profile, and swtpm tells it', { skip: noProfiles }, async (t) => {
  for (const [name, args] of PROFILES)
    await t.test(name, (t) => {
      const directory = temporaryDirectory(t)
      make(OURS, directory, ...args)
      assert.equal(activeProfile(OURS, directory).Name, name)
    })
})

test('a profile that does not exist is refused with the names that there are', { skip: noProfiles }, (t) => {
  const directory = temporaryDirectory(t)
  const { status, stderr } = spawnSync(
    OURS.setup,
    ['--tpm2', '--tpmstate', directory, '--profile-name', 'nonesuch'],
    { encoding: 'utf8' },
  )
  assert.equal(status, 1)
  assert.match(stderr, /nonesuch/)
  for (const [name] of PROFILES) assert.match(stderr, new RegExp(name.replace(/:.*/, '')))
})

test('our programs and those of the reference read each other’s profiles', {
  skip: noReference,
}, async (t) => {
  for (const [name, args] of PROFILES)
    for (const [who, maker] of [['ours', OURS] as const, ['theirs', THEIRS] as const])
      await t.test(`${name}, made by ${who}`, (t) => {
        const directory = temporaryDirectory(t)
        make(maker, directory, ...args)
        const [ours, theirs] = [activeProfile(OURS, directory), activeProfile(THEIRS, directory)]
        assert.equal(ours.Name, name)
        assert.deepEqual(ours, theirs)
      })
})

test('both announce the same profiles, and the same about them', { skip: noReference }, () => {
  const about = (program: string) => {
    const { features, profiles } = capabilities(program)
    return { features: features.filter((feature) => /profile/.test(feature)), profiles }
  }
  assert.deepEqual(about(OURS.swtpm), about(THEIRS.swtpm))
})
