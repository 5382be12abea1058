/** swtpm_bios does what Debian's does, on Debian's swtpm and on ours. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { suiteCleanup } from '../support/suite.ts'
import { temporaryDirectory } from '../support/swtpm.ts'
import { debians, ours, runTool, withoutDebiansTools, withoutNames } from './client-tool.ts'
import { kinds, startTcpTpm, startTwins, type Twins } from './twins.ts'

const OURS = ours('swtpm_bios')
const DEBIANS = debians('swtpm_bios')
const OUR_IOCTL = ours('swtpm_ioctl')

/** In this order; `init` is a power cycle. The options after --tpm2, where the TPM is one. */
const steps = [
  'init',
  '-n -cs', // not started up yet
  '-o',
  '-o', // started up already
  '-n -cs',
  '-n --cs -ea',
  '-n -u',
  '-n -u', // has no control over it any more
  'init',
  '-cs -u',
  'init',
  '-s',
  'init',
  '-d',
  'init',
  '-c -ea -o',
  '-n -o',
  'init',
  '-ea',
]

for (const kind of kinds) {
  describe(`swtpm_bios on ${kind.name}`, { skip: withoutDebiansTools }, () => {
    const suite = suiteCleanup()
    let twins: Twins

    before(async () => {
      twins = await startTwins(suite, kind, [DEBIANS, OURS])
    })

    for (const [index, line] of steps.entries()) {
      it(`does as Debian's, step ${index + 1}: ${line}`, async () => {
        const runs = twins.map(([tool, { dataPath, controlPath }]) =>
          line === 'init'
            ? runTool(OUR_IOCTL, ['--unix', controlPath, '-i'])
            : runTool(tool, ['--unix', dataPath, ...(kind.tpm2 ? ['--tpm2'] : []), ...line.split(' ')]),
        )
        const [expected, actual] = await Promise.all(runs)
        // 0.7 has a typing error in a message, which later releases have not.
        const stdout = expected!.stdout.replace('TPM2_Imcremental', 'TPM2_Incremental')
        assert.deepEqual(withoutNames(actual!), { ...expected, stdout })
      })
    }
  })

  describe(`swtpm_bios by TCP on ${kind.name}`, { skip: withoutDebiansTools }, () => {
    it('finds the port by option and by environment', async (t) => {
      const { data, control } = await startTcpTpm(t, kind)
      assert.equal((await runTool(OUR_IOCTL, ['--tcp', `:${control}`, '-i'])).code, 0)
      const version = kind.tpm2 ? ['--tpm2'] : []
      assert.deepEqual(await runTool(OURS, [...version, '--tcp', `localhost:${data}`, '-o']), {
        code: 0,
        stdout: '',
        stderr: '',
      })
      const env = { TCSD_USE_TCP_DEVICE: '1', TCSD_TCP_DEVICE_PORT: `${data}` }
      assert.deepEqual(await runTool(OURS, [...version, '-n', '-cs'], { env }), {
        code: 0,
        stdout: '',
        stderr: '',
      })
      const named = { ...env, TCSD_TCP_DEVICE_HOSTNAME: '127.0.0.1' }
      assert.equal((await runTool(OURS, [...version, '-o'], { env: named })).code, 128)
    })
  })
}

describe('swtpm_bios and its command line', { skip: withoutDebiansTools }, () => {
  const cases = [
    '--bogus',
    '-cx',
    '--tcp :x',
    '--tcp :65536',
    '--tpm-device /no/such/device',
    '--tpm2 --tpm-device /no/such/device -n -u',
    '--unix /no/such/socket',
    '--tcp :1',
    '--tpm2 --tpm-device /dev/null',
  ]
  for (const line of cases) {
    it(`exits as Debian's for '${line}'`, async () => {
      const expected = await runTool(DEBIANS, line.split(' '))
      const { code, stdout, stderr } = await runTool(OURS, line.split(' '))
      assert.equal(code, expected.code)
      assert.equal(stdout, '')
      assert.match(stderr, /^[^\n]+\n(Usage: [^\n]+\n)?(Try '[^\n]+\n)?$/)
    })
  }

  it('exits with 255 for the device that TPM_DEVICE names', async () => {
    const { code, stderr } = await runTool(OURS, ['-n', '-u'], { env: { TPM_DEVICE: '/dev/no-such-tpm' } })
    assert.equal(code, 255)
    assert.match(stderr, /^Unable to open device "\/dev\/no-such-tpm": /)
  })

  it('does not take a stray word for a device, nor ignore it', async () => {
    const run = await runTool(OURS, ['--tpm2', '/dev/vtpm0'])
    assert.deepEqual(run, {
      code: 1,
      stdout: '',
      stderr:
        "swtpm_bios: Unknown parameter '/dev/vtpm0'; a device is named with --tpm-device\n" +
        "Try 'swtpm_bios --help' for more.\n",
    })
  })

  it('prints version and help with success', async () => {
    for (const option of ['-v', '-h']) {
      const { code, stdout, stderr } = await runTool(OURS, [option])
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
      assert.match(stdout, option === '-v' ? /^TPM emulator BIOS emulator version \d+\.\d+\.\d+/ : /--tpm2/)
    }
  })
})

describe('swtpm_bios and a server that is none', () => {
  const servers: Server[] = []
  after(() => {
    for (const server of servers) server.close()
  })

  const cases: readonly [what: string, answer: string | undefined, message: RegExp][] = [
    ['closes the connection', undefined, /no answer from Unix socket .*: it closed the connection/],
    [
      'answers a size that no response has',
      '8001ffffffff00000000',
      /Malformed response .* claims 4294967295 bytes/,
    ],
  ]
  for (const [what, answer, message] of cases) {
    it(`exits with 255 when it ${what}`, async (t) => {
      const path = join(temporaryDirectory(t), 'data')
      const server = createServer((socket) => {
        socket.on('error', () => {})
        socket.once('data', () =>
          answer === undefined ? socket.destroy() : socket.end(Buffer.from(answer, 'hex')),
        )
      })
      servers.push(server)
      await new Promise<void>((resolve) => server.listen(path, resolve))
      const { code, stderr } = await runTool(OURS, ['--tpm2', '--unix', path])
      assert.equal(code, 255)
      assert.match(stderr, message)
    })
  }
})
