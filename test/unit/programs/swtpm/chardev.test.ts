import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertHas, parseChardev, refusal } from './command-line.ts'

const STATE = '--tpmstate dir=/d'

const accepted: [line: string, meaning: object][] = [
  [
    '--chardev /dev/x',
    { device: { kind: 'path', path: '/dev/x' }, flags: { needInit: true, startup: 'none' } },
  ],
  ['-c/dev/x --tpm2', { device: { kind: 'path', path: '/dev/x' }, tpmVersion: '2' }],
  ['-f 5 -d', { device: { kind: 'fd', fd: 5 }, daemonize: true, allowSetLocality: false }],
  ['--vtpm-proxy', { device: { kind: 'vtpm-proxy' }, flags: { needInit: false, startup: 'clear' } }],
  ['--vtpm', { allowSetLocality: true, engine: { rejectLocality4: false } }],
  [
    '--vtpm-proxy --locality reject-locality-4',
    { allowSetLocality: true, engine: { rejectLocality4: true } },
  ],
  ['--vtpm-proxy --flags startup-none', { flags: { needInit: false, startup: 'none' } }],
  ['--vtpm-proxy --flags startup-state', { flags: { needInit: false, startup: 'state' } }],
  ['--vtpm-proxy --flags startup-deactivated', { flags: { needInit: false, startup: 'deactivated' } }],
  ['--vtpm-proxy --ctrl type=tcp,port=2322', { control: { kind: 'tcp', port: 2322 } }],
]
for (const [line, meaning] of accepted) {
  test(`swtpm chardev ${line}`, () => assertHas(parseChardev(`${STATE} ${line}`), meaning))
}

const refused: [line: string, message: string][] = [
  ['', 'Missing character device: give --vtpm-proxy, --chardev DEVICE or --fd FD'],
  ['--vtpm-proxy -f 5', '--fd and --vtpm-proxy exclude each other: the TPM serves one device'],
  ['--vtpm-proxy -c /dev/x', '--chardev and --vtpm-proxy exclude each other: the TPM serves one device'],
  ['-c /dev/x -f 5', '--chardev and --fd exclude each other: the TPM serves one device'],
  ['-f 0', '--fd: 0 is standard input, output or error; it must be 3 or higher'],
  ['--chardev=', '--chardev: the device name is empty'],
]
for (const [line, message] of refused) {
  test(`swtpm chardev refuses "${line}"`, () => {
    assert.deepEqual(refusal(`swtpm chardev ${STATE} ${line}`), { message, exitCode: 1 })
  })
}
