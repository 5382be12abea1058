import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertHas, parse, parseCuse, refusal } from './command-line.ts'

const STATE = '--tpmstate dir=/d'

const accepted: [line: string, meaning: object][] = [
  ['-n vtpm0', { name: 'vtpm0', major: 0, minor: 0, foreground: false, daemonize: true }],
  ['--name=vtpm0 -M 240 -m 7 --tpm2', { major: 240, minor: 7, tpmVersion: '2' }],
  ['-nvtpm-100 --foreground', { name: 'vtpm-100', foreground: true, daemonize: false }],
  ['-n /dev/vtpm0', { name: 'vtpm0' }],
  ['-n v -M 511 -m 1048575 --ready-fd 9', { major: 511, minor: 1048575, readyFd: { kind: 'fd', fd: 9 } }],
  ['-n v --flags startup-clear', { flags: { needInit: false, startup: 'clear' } }],
  ['-n v --runas tss --chroot /jail', { runAs: 'tss', chroot: '/jail' }],
]
for (const [line, meaning] of accepted) {
  test(`swtpm cuse ${line}`, () => assertHas(parseCuse(`${STATE} ${line}`), meaning))
}

const refused: [line: string, exitCode: number, message: string][] = [
  [STATE, 254, 'device name missing: give --name NAME'],
  [`${STATE} -n a/b`, 255, '--name: "a/b" contains a "/"; the device is made in /dev itself'],
  [`${STATE} -n /dev/a/b`, 255, '--name: "a/b" contains a "/"; the device is made in /dev itself'],
  [`${STATE} -n a!b`, 255, '--name: "a!b" contains a "!", of which the kernel makes a "/"'],
  [
    `${STATE} -n vtpmà`,
    255,
    '--name: "vtpmà" begins or ends with what the kernel takes for a blank and leaves out',
  ],
  [`${STATE} --name=`, 255, '--name: "" is empty'],
  [`${STATE} -n ..`, 255, '--name: ".." is a directory'],
  [`${STATE} -n ${'x'.repeat(256)}`, 255, `--name: "${'x'.repeat(256)}" is longer than 255 bytes`],
  [`${STATE} -n v -M 65536`, 255, '--maj: "65536" is not a number from 0 to 511'],
  [`${STATE} -n v -M 512`, 255, '--maj: "512" is not a number from 0 to 511'],
  [`${STATE} -n v -m 1048576`, 255, '--min: "1048576" is not a number from 0 to 1048575'],
  [`${STATE} -n v --ready-fd x`, 255, '--ready-fd: "x" is not a file descriptor number'],
  [
    `${STATE} -n v --ready-fd 2`,
    255,
    '--ready-fd: 2 is standard input, output or error; it must be 3 or higher',
  ],
  [`${STATE} -n v --ready-fd 5 --log fd=5`, 255, '--ready-fd: another option uses descriptor 5 as well'],
  [`${STATE} -n v -m x`, 255, '--min: "x" is not a number from 0 to 1048575'],
  ['-n v', 255, 'No TPM state directory is defined: give --tpmstate dir=DIR, or set TPM_PATH'],
  ['-n v --tpmstate dir=/d,mode=888', 253, '--tpmstate: mode "888" is not an octal number up to 0777'],
  [`-n v ${STATE} --key mode=aes-cbc`, 253, '--key: exactly one of file, fd, pwdfile and pwdfd is required'],
  [
    `-n v ${STATE} --locality 4`,
    253,
    '--locality: "4" is unknown; known are reject-locality-4, allow-set-locality',
  ],
  [`-n v ${STATE} --log level=x`, 1, '--log: level "x" is not a decimal number from 0 to 4294967295'],
  [`-n v ${STATE} stray`, 1, "Unknown parameter 'stray'"],
  ['-n v --print-info x', 255, '--print-info: "x" is not a number from 0 to 4294967295'],
  ['--print-states', 1, '--print-states needs --tpmstate, to know where to look'],
]
for (const [line, exitCode, message] of refused) {
  test(`swtpm cuse exits ${exitCode}: ${message.slice(0, 60)}`, () => {
    assert.deepEqual(refusal(`swtpm cuse ${line}`), { message, exitCode })
  })
}

test('a device name must not hold control characters', () => {
  assert.equal(refusal(`swtpm cuse ${STATE} '-na\nb'`).exitCode, 255)
})

test('swtpm cuse -v asks for the version, as only this interface of the reference does', () => {
  assertHas(parse('swtpm cuse -v'), { action: 'version', interface: 'cuse' })
})
