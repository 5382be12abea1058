import assert from 'node:assert/strict'
import { test } from 'node:test'
import { givenOptions } from '../../../../src/command-line/parse/parse-command-line.ts'
import type { Interface } from '../../../../src/serve/config.ts'
import { refusal, words } from './command-line.ts'

/** What was given, by name. */
const read = (argv: readonly string[], iface: Interface) =>
  Object.fromEntries(givenOptions(argv, iface).list.map(({ name, value }) => [name, value]))
const socket = (line: string) => read(words(line), 'socket')

const accepted: [line: string, meaning: Record<string, string>][] = [
  ['', {}],
  ['--port 1234', { port: '1234' }],
  ['--port=1234', { port: '1234' }],
  ['-p 1234', { port: '1234' }],
  ['-p1234', { port: '1234' }],
  ['-t -d', { terminate: '', daemon: '' }],
  ['-td', { terminate: '', daemon: '' }],
  ['-tdp1234', { terminate: '', daemon: '', port: '1234' }],
  ['-tp 1234 -d', { terminate: '', port: '1234', daemon: '' }],
  ['-p -t', { port: '-t' }],
  ['--port --tpm2', { port: '--tpm2' }],
  ['--port=', { port: '' }],
  ['--tpmstate dir=/a=b', { tpmstate: 'dir=/a=b' }],
  ['--tpmstate=dir=/a=b', { tpmstate: 'dir=/a=b' }],
  ['--port 1 --port 2', { port: '2' }],
  ['--tpm2 --', { tpm2: '' }],
  ['--tpms dir=/a', { tpmstate: 'dir=/a' }],
  ['--dae', { daemon: '' }],
  ['--key a', { key: 'a' }],
  ['--print-i 1', { 'print-info': '1' }],
  ['--help --what', { help: '' }],
  ['-h stray', { help: '' }],
]
for (const [line, meaning] of accepted) {
  test(`givenOptions() reads "${line}"`, () => assert.deepEqual(socket(line), meaning))
}

const refused: [line: string, message: string][] = [
  ['swtpm socket stray', "Unknown parameter 'stray'"],
  ['swtpm socket --tpm2 stray', "Unknown parameter 'stray'"],
  ['swtpm socket --tpm2 -', "Unknown parameter '-'"],
  ['swtpm socket -- --tpm2', "Unknown parameter '--tpm2'"],
  ['swtpm socket -x', "invalid option '-x'"],
  ['swtpm socket -tx', "invalid option '-x'"],
  ['swtpm socket -c /dev/x', "invalid option '-c'"],
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
  ['swtpm cuse -d', "invalid option '-d'"],
  ['swtpm cuse --fore', "unrecognized option '--fore'; did you mean '--mode'?"],
]
for (const [line, message] of refused) {
  test(`givenOptions() refuses "${line}"`, () => assert.deepEqual(refusal(line), { message, exitCode: 1 }))
}

test('an extension never makes an abbreviation of the reference ambiguous', () => {
  assert.deepEqual(read(['--v'], 'chardev'), { 'vtpm-proxy': '' })
  assert.deepEqual(read(['--f', 'x'], 'cuse'), { flags: 'x' })
  assert.deepEqual(read(['--ver'], 'cuse'), { version: '' })
})
