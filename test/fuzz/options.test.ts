/** Command lines of every kind: either they mean something, or the user is told what is wrong with them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CommandLineError } from '../../src/command-line/exit/command-line-error.ts'
import { parseCommandLine } from '../../src/command-line/parse/parse-command-line.ts'
import type { Interface } from '../../src/serve/config.ts'
import { figure } from '../hard/support/scale.ts'
import { EDGES, type Random } from './random.ts'
import { fuzz } from './rounds.ts'

const OPTIONS: readonly (readonly [string, readonly string[]])[] = [
  [
    '--tpmstate',
    [
      'dir=/tmp/x',
      'backend-uri=file:///tmp/x',
      'backend-uri=dir:///tmp',
      'mode=0600',
      'lock',
      'backup',
      'fsync=false',
    ],
  ],
  [
    '--server',
    [
      'type=tcp',
      'type=unixio',
      'port=2321',
      'bindaddr=127.0.0.1',
      'path=/tmp/s',
      'fd=5',
      'disconnect',
      'mode=0777',
      'uid=0',
      'gid=tss',
      'ifname=lo',
      'connectfd=4',
    ],
  ],
  [
    '--ctrl',
    [
      'type=unixio',
      'type=tcp',
      'path=/tmp/c',
      'port=2322',
      'mode=0600',
      'fd=4',
      'clientfd=7',
      'terminate',
      'uid=root',
    ],
  ],
  [
    '--key',
    [
      'file=/k',
      'fd=3',
      'format=hex',
      'format=binary',
      'mode=aes-cbc',
      'mode=aes-256-cbc',
      'remove=true',
      'pwdfile=/p',
      'pwdfd=9',
      'kdf=sha512',
      'kdf=pbkdf2',
    ],
  ],
  ['--migration-key', ['file=/k', 'pwdfile=/p', 'mode=aes-128-cbc', 'remove']],
  ['--log', ['file=/l', 'fd=2', 'level=5', 'prefix=x', 'truncate']],
  ['--pid', ['file=/p', 'fd=3']],
  ['--locality', ['reject-locality-4', 'allow-set-locality']],
  [
    '--flags',
    [
      'not-need-init',
      'startup-clear',
      'startup-state',
      'startup-deactivated',
      'startup-none',
      'disable-auto-shutdown',
    ],
  ],
  ['--seccomp', ['action=none', 'action=kill', 'action=log']],
  ['--migration', ['incoming', 'release-lock-outgoing']],
  ['--profile', ['name=null', 'profile={"Name":"default-v1"}', 'file=/x', 'fd=4', 'remove-disabled=check']],
  ['--pcap', ['file=/x', 'fd=4', 'truncate', 'mode=0600', 'checksums']],
  ['--print-info', ['0', '1', '64']],
  ['--name', ['vtpm0']],
  ['--maj', ['0', '10']],
  ['--min', ['0', '224']],
  ['--fd', ['3']],
  ['--port', ['2321']],
  ['--runas', ['tss', '0']],
  ['--chroot', ['/']],
]
const PLAIN = [
  '--tpm2',
  '-t',
  '--terminate',
  '-d',
  '--daemon',
  '--vtpm-proxy',
  '--print-capabilities',
  '--print-states',
  '--print-profiles',
  '-h',
  '--help',
  '-v',
  '--version',
  '--',
  '-',
  'stray',
  '-p',
  '-n',
]
const ODD = [
  '',
  ' ',
  ',',
  '=',
  ',,',
  '{',
  '}',
  '{}',
  '{"a":{}',
  '\0',
  '\n',
  'é',
  '\u{1f600}',
  '%s%n',
  '../..',
  '-1',
  '+1',
  '0x10',
  '08',
  '1e3',
  'true',
  '1',
  'no',
  'x'.repeat(5000),
]

function word(random: Random, value: string): string {
  switch (random.below(10)) {
    case 0:
      return random.pick(ODD)
    case 1:
      return value + random.pick(ODD)
    case 2:
      return random.pick(ODD) + value
    case 3:
      return value.replace(/=.*/s, `=${random.pick(EDGES)}`)
    case 4:
      return value.slice(0, random.below(value.length + 1))
    case 5:
      return value.replace(/[^=]*/, (name) => name + random.pick(ODD))
    default:
      return value
  }
}

function line(random: Random): string[] {
  const words: string[] = []
  for (let i = random.below(7); i >= 0; i--) {
    if (random.chance(0.25)) {
      words.push(word(random, random.pick(PLAIN)))
      continue
    }
    const [option, values] = random.pick(OPTIONS)
    const name = random.chance(0.05) ? word(random, option) : option
    const parts = Array.from({ length: 1 + random.below(4) }, () => word(random, random.pick(values)))
    const value = parts.join(random.chance(0.95) ? ',' : random.pick(ODD))
    if (random.chance(0.5)) words.push(`${name}=${value}`)
    else words.push(name, value)
  }
  return words
}

describe('command lines of every kind', () => {
  it('are understood or refused', async () => {
    let accepted = 0
    let lines = 0
    const env = (random: Random): NodeJS.ProcessEnv =>
      random.chance(0.2)
        ? { TPM_PATH: random.pick(['/tmp', '', 'x']), TPM_PORT: random.pick(['1', '', 'x', '99999']) }
        : {}
    const rounds = await fuzz(100, (random) => {
      for (let i = 0; i < 100; i++) {
        const words = line(random)
        lines++
        try {
          const iface = random.pick<Interface>(['socket', 'chardev', 'cuse'])
          assert.equal(typeof parseCommandLine(words, env(random), iface).action, 'string')
          accepted++
        } catch (error) {
          if (!(error instanceof CommandLineError)) throw new Error(`${JSON.stringify(words)}: ${error}`)
          assert.ok(error.message.length > 0)
        }
      }
    })
    figure(
      'Fuzzer: command lines',
      `${rounds} rounds, ${lines} lines, ${accepted} accepted: no internal error`,
    )
  })
})
