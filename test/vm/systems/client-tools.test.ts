/** swtpm_ioctl and swtpm_bios on a CUSE TPM of a real kernel, compared with Debian's. */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import {
  debians,
  ours,
  type RunOptions,
  runTool,
  withoutDebiansTools,
  withoutNames,
} from '../../interop/client-tool.ts'
import { type CuseTpm, DeviceHandle, startCuseTpm } from '../../support/cuse-tpm.ts'
import { enginePid } from '../../support/processes.ts'
import { suiteCleanup } from '../../support/suite.ts'
import { temporaryDirectory } from '../../support/swtpm.ts'
import { TPM2 } from '../../support/tpm-commands.ts'

const OURS = ours('swtpm_ioctl')
const DEBIANS = debians('swtpm_ioctl')

/** In this order, on a TPM 2.0 that has not been initialised yet. */
const steps: readonly [tool: 'swtpm_ioctl' | 'swtpm_bios', line: string, options?: RunOptions][] = [
  ['swtpm_ioctl', '-c'],
  ['swtpm_ioctl', '-e'],
  ['swtpm_ioctl', '-i'],
  ['swtpm_bios', '--tpm2 -cs -o'],
  ['swtpm_ioctl', '-h 1234'],
  ['swtpm_ioctl', '-h -', { input: Buffer.alloc(5000) }],
  ['swtpm_ioctl', '-e'],
  ['swtpm_ioctl', '-r 2'],
  ['swtpm_ioctl', '-r 3'],
  ['swtpm_ioctl', '-e'],
  ['swtpm_ioctl', '-l 4'],
  ['swtpm_ioctl', '-C'],
  ['swtpm_ioctl', '-v'],
  ['swtpm_ioctl', '-b 0'],
  ['swtpm_ioctl', '--info 7'],
  ['swtpm_bios', '--tpm2 -n -u'],
  ['swtpm_bios', '--tpm2 -n -u'],
  ['swtpm_ioctl', '--stop'],
  ['swtpm_ioctl', '-v'],
  ['swtpm_ioctl', '-b 100'],
  ['swtpm_ioctl', '-s'],
]

describe('the client tools on a CUSE device', { skip: withoutDebiansTools }, () => {
  const suite = suiteCleanup()
  let forDebians: CuseTpm
  let forOurs: CuseTpm

  before(async () => {
    forDebians = await startCuseTpm(suite)
    forOurs = await startCuseTpm(suite)
  })

  for (const [index, [tool, line, options]] of steps.entries()) {
    it(`do as Debian's, step ${index + 1}: ${tool} ${line}`, async () => {
      const words = line.split(' ')
      const expected = await runTool(debians(tool), ['--tpm-device', forDebians.path, ...words], options)
      // Also as the last argument, where that is possible.
      const argv =
        tool === 'swtpm_ioctl' ? [...words, forOurs.path] : ['--tpm-device', forOurs.path, ...words]
      const stdout = expected.stdout.replace('TPM2_Imcremental', 'TPM2_Incremental')
      assert.deepEqual(withoutNames(await runTool(ours(tool), argv, options)), { ...expected, stdout })
    })
  }
})

describe('swtpm_ioctl and the state blobs of a CUSE device', { skip: withoutDebiansTools }, () => {
  const suite = suiteCleanup()
  const pcrRead = (path: string): string => {
    const device = new DeviceHandle(path)
    try {
      return device.command(TPM2.pcrRead(16)).toString('hex')
    } finally {
      device.close()
    }
  }
  /** The tools' own --stop and -i are among the steps above. */
  const withoutTool = (path: string, name: 'STOP' | 'INIT'): void => {
    const device = new DeviceHandle(path)
    try {
      assert.equal(device.verb(name).tpmResult, 0)
    } finally {
      device.close()
    }
  }
  let from: CuseTpm
  let to: CuseTpm
  let pcr: string

  before(async () => {
    from = await startCuseTpm(suite, ['--tpm2', '--flags', 'not-need-init,startup-clear'])
    to = await startCuseTpm(suite)
    const device = new DeviceHandle(from.path)
    device.command(TPM2.pcrExtend(16, Buffer.alloc(32, 7)))
    device.close()
    pcr = pcrRead(from.path)
  })

  const quiet = { code: 0, stdout: '', stderr: '' }
  // An emulated processor takes its time with each Node: what the socket tests and the unit tests show is left out here.
  const ways: readonly [saver: string, loader: string, size: string | undefined][] = [
    [OURS, OURS, '100'],
    [OURS, DEBIANS, undefined],
    [DEBIANS, OURS, undefined],
    [DEBIANS, OURS, '4096'],
  ]
  for (const [saver, loader, size] of ways) {
    const who = (tool: string): string => (tool === OURS ? 'ours' : 'Debian’s')
    const how = size === undefined ? 'by ioctl' : `by read() and write() of ${size} bytes`
    it(`saved by ${who(saver)}, loaded by ${who(loader)}, ${how}`, async (t) => {
      const files = temporaryDirectory(t)
      const options: RunOptions = size === undefined ? {} : { env: { SWTPM_IOCTL_BUFFERSIZE: size } }
      for (const type of ['permanent', 'volatile', 'savestate']) {
        const args = ['--save', type, join(files, type), from.path]
        assert.deepEqual(await runTool(saver, args, options), quiet)
      }
      assert.ok(statSync(join(files, 'volatile')).size > 2 * 3072, 'needs more than one ioctl')
      assert.equal(statSync(join(files, 'savestate')).size, 0)

      withoutTool(to.path, 'STOP')
      for (const type of ['permanent', 'volatile', 'savestate']) {
        const args = ['--load', type, join(files, type), to.path]
        assert.deepEqual(await runTool(loader, args, options), quiet)
      }
      withoutTool(to.path, 'INIT')
      assert.equal(pcrRead(to.path), pcr)
    })
  }
})

describe('swtpm_ioctl and a CUSE server that hangs', () => {
  it('ends with a message and SIGALRM', async (t) => {
    const { swtpm, path } = await startCuseTpm(t)
    const processes = [swtpm.pid, await enginePid(swtpm.pid)]
    for (const pid of processes) process.kill(pid, 'SIGSTOP')
    const run = await runTool(OURS, ['-c', path], { env: { SWTPM_IOCTL_TIMEOUT: '2' } }).finally(() => {
      for (const pid of processes) process.kill(pid, 'SIGCONT')
    })
    assert.deepEqual(run, {
      code: 'SIGALRM',
      stdout: '',
      stderr: `Unable to open device "${path}": no answer within 2 s; its server hangs\n`,
    })
  })
})
