import assert from 'node:assert/strict'
import { test } from 'node:test'
import { profileOf } from '../../../../src/programs/swtpm/parse/behaviour.ts'
import { pcapOf } from '../../../../src/programs/swtpm/parse/output.ts'
import { givenOptions } from '../../../../src/programs/swtpm/parse/parse-command-line.ts'
import { words } from './command-line.ts'

const given = (line: string) => givenOptions(words(line), 'socket')

const profiles: [line: string, profile: object][] = [
  [
    '--profile name=default-v1',
    { source: { kind: 'json', json: '{"Name":"default-v1"}' }, removeDisabled: undefined },
  ],
  [`--profile 'name=a"b'`, { source: { kind: 'json', json: '{"Name":"a\\"b"}' }, removeDisabled: undefined }],
  [
    `--profile 'profile={"Name":"custom","Algorithms":"rsa,aes"},remove-disabled=check'`,
    { source: { kind: 'json', json: '{"Name":"custom","Algorithms":"rsa,aes"}' }, removeDisabled: 'check' },
  ],
  ['--profile fd=5', { source: { kind: 'fd', fd: 5 }, removeDisabled: undefined }],
  [
    '--profile file=/p,remove-disabled=fips-host',
    { source: { kind: 'file', path: '/p' }, removeDisabled: 'fips-host' },
  ],
]
for (const [line, profile] of profiles) {
  test(line, () => assert.deepEqual(profileOf(given(line)), profile))
}

test('--pcap', () => {
  assert.deepEqual(pcapOf(given('--pcap file=/p')), {
    destination: { kind: 'file', path: '/p' },
    mode: 0o640,
    truncate: false,
    checksums: false,
  })
  assert.deepEqual(pcapOf(given('--pcap fd=5,truncate,checksums,mode=0600')), {
    destination: { kind: 'fd', fd: 5 },
    mode: 0o600,
    truncate: true,
    checksums: true,
  })
})

const refused: [line: string, message: string][] = [
  ['--pcap truncate', '--pcap: one of file=PATH and fd=FD is required'],
  ['--profile remove-disabled=check', '--profile: exactly one of name, profile, file and fd is required'],
  ['--profile name=a,fd=3', '--profile: exactly one of name, profile, file and fd is required'],
  ['--profile profile={"a":1', '--profile: profile: the closing brace is missing'],
]
for (const [line, message] of refused) {
  test(`refused: ${line}`, () => {
    assert.throws(() => [profileOf(given(line)), pcapOf(given(line))], { message })
  })
}
