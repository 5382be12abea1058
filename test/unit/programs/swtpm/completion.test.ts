import assert from 'node:assert/strict'
import { test } from 'node:test'
import { complete } from '../../../../src/programs/swtpm/help/completion.ts'

const cases: [words: string[], proposals: string[]][] = [
  [
    ['swtpm', ''],
    [
      'socket',
      'chardev',
      'cuse',
      'fleet',
      'fault',
      'run',
      'ktest',
      'cdi',
      'record',
      'replay',
      'doctor',
      'list',
      'state',
      'trace',
      'completion',
      '--help',
      '--version',
    ],
  ],
  [
    ['swtpm', 'c'],
    ['chardev', 'cuse', 'cdi', 'completion'],
  ],
  [
    ['swtpm', 'cuse', '--mi'],
    ['--min', '--migration-key', '--migration'],
  ],
  [['swtpm', 'nonsense', ''], []],
  [
    ['swtpm', 'fleet', '--f'],
    ['--fresh-engines', '--foreground'],
  ],
  [['swtpm', 'fleet', 'r'], ['remove']],
  [['swtpm', 'fleet', 'add', 'a', '--', 'ch'], ['chardev']],
  [['swtpm', 'fleet', 'add', 'a', '--', 'socket', '--tpm2', '--seccomp', ''], ['action=']],
  [['swtpm', 'socket', '--seccomp', ''], ['action=']],
  [
    ['swtpm', 'socket', '--seccomp', 'action='],
    ['action=none', 'action=log', 'action=kill'],
  ],
  [
    ['swtpm', 'socket', '--seccomp', 'action', '=', ''],
    ['none', 'log', 'kill'],
  ],
  [['swtpm', 'socket', '--seccomp', 'action', '=', 'k'], ['kill']],
  [['swtpm', 'socket', '--ctrl', 'type=unixio,cl'], ['type=unixio,clientfd=']],
  [['swtpm', 'socket', '--ctrl', 'type', '=', 'unixio,cl'], ['unixio,clientfd=']],
  [['swtpm', 'socket', '--flags=startup-c'], ['--flags=startup-clear']],
  [['swtpm', 'socket', '--flags', '=', 'startup-c'], ['startup-clear']],
  [['swtpm', 'socket', '--tpmstate', 'dir=/d,lo'], ['dir=/d,lock']],
  [['swtpm', 'socket', '--tpmstate', 'dir=/d,dir'], []],
  [['swtpm', 'socket', '--tpmstate', 'dir=/d,lock=t'], ['dir=/d,lock=true']],
  [['swtpm', 'socket', '-p', ''], []],
  [
    ['swtpm', 'ktest', '--kernel', ''],
    ['6.1', '6.12'],
  ],
  [['swtpm', 'ktest', '--fail-on', 'ka'], ['kasan']],
  [
    ['swtpm', 'record', '--behind', 'device:/dev/tpm'],
    ['device:/dev/tpm0', 'device:/dev/tpmrm0'],
  ],
  [['swtpm', 'replay', '--to', 'o'], ['ours']],
  [['swtpm', 'cdi', 'w'], ['write']],
  [['swtpm', 'cdi', 'write', '--cdi'], ['--cdi-version']],
  [['swtpm', 'cdi', 'write', '--cdi-version', '0.5'], ['0.5.0']],
  [['swtpm', 'fleet', '--log', 'for'], ['format=']],
  [['swtpm', 'socket', '--script-socket', 'mo'], ['mode=']],
  [
    ['swtpm', 'socket', '--fault', 'PCR_R'],
    ['PCR_Reset', 'PCR_Read'],
  ],
  [['swtpm', 'socket', '--fault', 'busy=GetR'], ['busy=GetRandom']],
  [['swtpm', 'socket', '--fault', 'PCR_Read|GetR'], ['PCR_Read|GetRandom']],
  [
    ['swtpm', 'socket', '--fault', 'GetCapability[cap'],
    ['GetCapability[capability=', 'GetCapability[capArea='],
  ],
  [['swtpm', 'socket', '--fault', '*[locality=3,session=h'], ['*[locality=3,session=hmac']],
  [['swtpm', 'socket', '--fault', 'GetRandom:st'], ['GetRandom:stall']],
  [['swtpm', 'socket', '--fault', 'GetRandom: dr'], ['GetRandom: drop']],
  [['swtpm', 'socket', '--fault', 'GetRandom', ':', 'st'], ['stall']],
  [['swtpm', 'socket', '--fault', 'GetRandom', ':', 'rc', '=', 'RET'], ['RETRY']],
  [['swtpm', 'socket', '--fault', 'GetRandom:late=1s,rc=CONTEXT'], ['GetRandom:late=1s,rc=CONTEXT_GAP']],
  [['swtpm', 'trace', '--grep', 'GetR'], ['GetRandom']],
  [['swtpm', 'fault', '/s'], []],
  [
    ['swtpm', 'fault', '/s', ''],
    ['add', 'list', 'remove', 'clear', 'wait'],
  ],
  [['swtpm', 'fault', '/s', 'add', 'GetRandom', ':', 'mu'], ['mute']],
  [
    ['swtpm', 'fault', '/s', 'wait', '1', '--ti'],
    ['--timeout', '--times'],
  ],
]
for (const [words, proposals] of cases) {
  test(`complete() goes on after ${words.join(' ')}`, async () =>
    assert.deepEqual(await complete(words), proposals))
}
