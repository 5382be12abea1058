import assert from 'node:assert/strict'
import { test } from 'node:test'
import { getopt } from '../../../../src/programs/swtpm/parse/getopt.ts'
import { refusal, words } from './command-line.ts'

const socket = (line: string) => Object.fromEntries(getopt(words(line), 'socket'))

const accepted: [line: string, meaning: Record<string, string | true>][] = [
  ['', {}],
  ['--port 1234', { port: '1234' }],
  ['--port=1234', { port: '1234' }],
  ['-p 1234', { port: '1234' }],
  ['-p1234', { port: '1234' }],
  ['-t -d', { terminate: true, daemon: true }],
  ['-td', { terminate: true, daemon: true }],
  ['-tdp1234', { terminate: true, daemon: true, port: '1234' }],
  ['-tp 1234 -d', { terminate: true, port: '1234', daemon: true }],
  ['-p -t', { port: '-t' }],
  ['--port --tpm2', { port: '--tpm2' }],
  ['--port=', { port: '' }],
  ['--tpmstate dir=/a=b', { tpmstate: 'dir=/a=b' }],
  ['--tpmstate=dir=/a=b', { tpmstate: 'dir=/a=b' }],
  ['--port 1 --port 2', { port: '2' }],
  ['--tpm2 --', { tpm2: true }],
  ['--tpms dir=/a', { tpmstate: 'dir=/a' }],
  ['--dae', { daemon: true }],
  ['--key a', { key: 'a' }],
  ['--print-i 1', { 'print-info': '1' }],
  ['--help --what', { help: true }],
  ['-h stray', { help: true }],
]
for (const [line, meaning] of accepted) {
  test(`getopt() reads "${line}"`, () => assert.deepEqual(socket(line), meaning))
}

const refused: [line: string, message: string][] = [
  ['swtpm socket stray', "Unknown parameter 'stray'"],
  ['swtpm socket --tpm2 stray', "Unknown parameter 'stray'"],
  ['swtpm socket --tpm2 -', "Unknown parameter '-'"],
  ['swtpm socket -- --tpm2', "Unknown parameter '--tpm2'"],
  ['swtpm socket -x', "invalid option '-x' (swtpm socket does not have it)"],
  ['swtpm socket -tx', "invalid option '-x' (swtpm socket does not have it)"],
  ['swtpm socket -c /dev/x', "invalid option '-c' (swtpm socket does not have it)"],
  ['swtpm socket --nonsense', "unrecognized option '--nonsense'"],
  ['swtpm socket --nonsense=1', "unrecognized option '--nonsense'"],
  ['swtpm socket --serve=1 --servre=1', "unrecognized option '--servre'; did you mean '--server'?"],
  [
    'swtpm socket --tpmstat dir=/d --loclity x',
    "unrecognized option '--loclity'; did you mean '--locality'?",
  ],
  ['swtpm socket --l x', "option '--l' is ambiguous; it could be --locality, --log"],
  [
    'swtpm socket --p x',
    /* and more */ "option '--p' is ambiguous; it could be --port, --pid, --profile, --pcap, --print-capabilities, --print-states, --print-profiles, --print-info",
  ],
  ['swtpm socket --port', "option '--port' requires an argument"],
  ['swtpm socket -p', "option '-p' requires an argument"],
  ['swtpm socket -tp', "option '-p' requires an argument"],
  ['swtpm socket --tpm2=yes', "option '--tpm2' doesn't allow an argument"],
  ['swtpm socket --vtpm-proxy', "unrecognized option '--vtpm-proxy'"],
  ['swtpm cuse --ctrl type=unixio', "unrecognized option '--ctrl'"],
  ['swtpm cuse -d', "invalid option '-d' (swtpm cuse does not have it)"],
  ['swtpm cuse --fore', "unrecognized option '--fore'"],
]
for (const [line, message] of refused) {
  test(`getopt() refuses "${line}"`, () => assert.deepEqual(refusal(line), { message, exitCode: 1 }))
}

test('an extension never makes an abbreviation of the reference ambiguous', () => {
  assert.deepEqual(Object.fromEntries(getopt(['--v'], 'chardev')), { 'vtpm-proxy': true })
  assert.deepEqual(Object.fromEntries(getopt(['--f', 'x'], 'cuse')), { flags: 'x' })
  assert.deepEqual(Object.fromEntries(getopt(['--ver'], 'cuse')), { version: true })
})
