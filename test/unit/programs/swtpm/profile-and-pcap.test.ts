import assert from 'node:assert/strict'
import { test } from 'node:test'
import { profileOf } from '../../../../src/command-line/parse/behaviour.ts'
import { pcapOf, traceOf } from '../../../../src/command-line/parse/output.ts'
import { givenOptions } from '../../../../src/command-line/parse/parse-command-line.ts'
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

test('--trace', () => {
  const plain = { json: false, secrets: false, mode: 0o640, truncate: false }
  for (const [line, config] of [
    ['--trace /p', { destination: { kind: 'file', path: '/p' }, ...plain }],
    ['--trace -', { destination: { kind: 'stdout' }, ...plain }],
    ['--trace -,json,secrets', { destination: { kind: 'stdout' }, ...plain, json: true, secrets: true }],
    ['--trace json,file=/p', { destination: { kind: 'file', path: '/p' }, ...plain, json: true }],
    [
      '--trace fd=5,truncate,mode=0600',
      { destination: { kind: 'fd', fd: 5 }, ...plain, truncate: true, mode: 0o600 },
    ],
  ] as const)
    assert.deepEqual(traceOf(given(line), false), config, line)
  assert.throws(() => traceOf(given('--trace -'), true), /in the background there is no standard output/)
})

const refused: [line: string, message: string][] = [
  ['--trace json', '--trace: one of FILE, file=PATH and fd=FD is required'],
  ['--trace /p,jsno', '--trace: "jsno" is unknown; did you mean "json"?'],
  ['--pcap truncate', '--pcap: one of file=PATH and fd=FD is required'],
  ['--profile remove-disabled=check', '--profile: exactly one of name, profile, file and fd is required'],
  ['--profile name=a,fd=3', '--profile: exactly one of name, profile, file and fd is required'],
  ['--profile profile={"a":1', '--profile: profile: the closing brace is missing'],
]
for (const [line, message] of refused) {
  test(`refused: ${line}`, () => {
    assert.throws(() => [profileOf(given(line)), pcapOf(given(line)), traceOf(given(line), false)], {
      message,
    })
  })
}
