/** swtpm_ioctl and Debian's give the same answers to the same questions, on Debian's swtpm and on ours. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { RawConnection } from '../support/raw-connection.ts'
import { suiteCleanup } from '../support/suite.ts'
import { temporaryDirectory } from '../support/swtpm.ts'
import { TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { debians, ours, type RunOptions, runTool, withoutDebiansTools, withoutNames } from './client-tool.ts'
import { kinds, startTcpTpm, startTpm, startTwins, type Twins } from './twins.ts'

const OURS = ours('swtpm_ioctl')
const DEBIANS = debians('swtpm_ioctl')

/**
 * In this order, on a TPM that has not been initialised yet. `@` stands for the twin's own directory.
 * How long a stored blob is depends on the TPM's random numbers: files are compared by their presence only.
 */
const steps: readonly [line: string, options?: RunOptions][] = [
  ['-c'],
  ['-e'],
  ['-v'],
  ['-h 1234'],
  ['-g'],
  ['--info 1'],
  ['-b 0'],
  ['-b 1'],
  ['-b 4096'],
  ['-i'],
  ['-e'],
  ['-l 2'],
  ['-l 0'],
  ['-l 4'],
  ['-h 1234'],
  ['-h -', { input: 'abc' }],
  ['-h -', { input: Buffer.alloc(10_000, 1) }],
  ['-h -'],
  ['-e'],
  ['-r 0'],
  ['-r 2'],
  ['-r 3'],
  ['-r 4'],
  ['-e'],
  ['-C'],
  ['-b 0'],
  ['-b 4096'],
  ['--info 1'],
  ['--info 0x2'],
  ['--info 04'],
  ['--info 7'],
  ['--save permanent @/my.permanent'],
  ['--save volatile @/my.volatile'],
  ['--save savestate @/my.savestate'],
  ['-v'],
  ['--load permanent @/my.permanent'],
  ['--stop'],
  ['--stop'],
  ['-e'],
  ['--save permanent @/too-late'],
  ['--load permanent @/my.permanent'],
  ['--load volatile @/my.volatile'],
  ['-b 100'],
  ['-b 4096'],
  ['-i'],
  ['-e'],
  ['-s'],
]

for (const kind of kinds) {
  describe(`swtpm_ioctl on ${kind.name}`, { skip: withoutDebiansTools }, () => {
    const suite = suiteCleanup()
    let twins: Twins

    before(async () => {
      twins = await startTwins(suite, kind, [DEBIANS, OURS])
    })

    for (const [index, [line, options]] of steps.entries()) {
      it(`does as Debian's, step ${index + 1}: ${line}`, async () => {
        const runs = twins.map(async ([tool, { directory, controlPath }]) => {
          const words = line.split(' ').map((word) => word.replace('@', directory))
          return runTool(tool, ['--unix', controlPath, ...words], options)
        })
        const [expected, actual] = await Promise.all(runs)
        assert.deepEqual(withoutNames(actual!), expected)
      })
    }

    it('has saved the same files', () => {
      const files = twins.map(([, { directory }]) =>
        ['my.permanent', 'my.volatile', 'my.savestate'].map((name) => {
          const path = join(directory, name)
          return (
            existsSync(path) && { mode: statSync(path).mode.toString(8), empty: statSync(path).size === 0 }
          )
        }),
      )
      assert.deepEqual(files[1], files[0])
    })

    it('has ended the server', async () => {
      for (const [, { swtpm }] of twins) await waitFor(() => !swtpm.running, { what: 'the end of swtpm' })
    })
  })

  describe(`swtpm_ioctl by TCP on ${kind.name}`, { skip: withoutDebiansTools }, () => {
    it("prints what Debian's prints, in all ways to write the address", async (t) => {
      const { control } = await startTcpTpm(t, kind)
      const runs = [
        [`:${control}`, '-c'],
        [`127.0.0.1:${control}`, '-i'],
        [`localhost:${control}`, '-g'],
        [`:${control}`, '--info', '1'],
      ]
      for (const run of runs) {
        const args = ['--tcp', ...run]
        assert.deepEqual(await runTool(OURS, args), await runTool(DEBIANS, args), args.join(' '))
      }
    })
  })
}

describe('swtpm_ioctl and the state blobs', { skip: withoutDebiansTools }, () => {
  for (const kind of kinds.filter(({ tpm2 }) => tpm2)) {
    for (const [saver, loader] of [
      [OURS, DEBIANS],
      [DEBIANS, OURS],
      [OURS, OURS],
    ] as const) {
      const who = (tool: string): string => (tool === OURS ? 'ours' : 'Debian’s')
      it(`moves a TPM on ${kind.name}, saved by ${who(saver)}, loaded by ${who(loader)}`, async (t) => {
        const from = await startTpm(t, kind, '--flags', 'not-need-init,startup-clear')
        const digest = Buffer.alloc(32, 7)
        const extended = await exchange(from.dataPath, [TPM2.pcrExtend(16, digest), TPM2.pcrRead(16)])
        const files = temporaryDirectory(t)
        for (const type of ['permanent', 'volatile', 'savestate']) {
          const args = ['--unix', from.controlPath, '--save', type, join(files, type)]
          assert.deepEqual(await runTool(saver, args), { code: 0, stdout: '', stderr: '' })
        }

        const to = await startTpm(t, kind)
        for (const type of ['permanent', 'volatile', 'savestate']) {
          const args = ['--unix', to.controlPath, '--load', type, join(files, type)]
          assert.deepEqual(await runTool(loader, args), { code: 0, stdout: '', stderr: '' })
        }
        const init = ['--unix', to.controlPath, '-i']
        assert.deepEqual(await runTool(loader, init), { code: 0, stdout: '', stderr: '' })
        const [pcr] = await exchange(to.dataPath, [TPM2.pcrRead(16)])
        assert.deepEqual(pcr, extended[1])
      })
    }
  }
})

describe('swtpm_ioctl and its command line', { skip: withoutDebiansTools }, () => {
  // What Debian's refuses or cannot do, ours refuses too; the words may be better ones.
  const refused = [
    '',
    '-c',
    '-h',
    '--bogus',
    '-cc x',
    '-l3 x',
    '-c -i --unix /x',
    '-l 3 -c /x',
    '-l 5 /x',
    '-l a /x',
    '-b a /x',
    '--info x /x',
    '--save permanent',
    '--save permanent -c',
    '--save nonsense @/f --unix @/control',
    '--load nonsense @/f --unix @/control',
    '--load permanent @/none --unix @/control',
    '--save permanent @/none/f --unix @/control',
    '-c --unix /no/such/socket',
    '-c --tpm-device /no/such/device',
    '-c /no/such/device',
    '-c /dev/null',
    '-c --tcp :1',
    '-c --tcp :65536',
    '-c --tcp :x',
    '-c --tcp no.such.host.invalid:1',
  ]
  for (const line of refused) {
    it(`exits as Debian's for '${line}'`, async (t) => {
      const { directory } = await startTpm(t, kinds[0]!, '--flags', 'not-need-init')
      const args = line === '' ? [] : line.split(' ').map((word) => word.replace('@', directory))
      const expected = await runTool(DEBIANS, args)
      const { code, stdout, stderr } = await runTool(OURS, args)
      assert.equal(code, expected.code)
      assert.equal(stdout, '')
      assert.match(stderr, /^[^\n]+\n(Usage: [^\n]+\n)?(Try '[^\n]+\n)?$/)
    })
  }

  it('prints version and help with success', async () => {
    for (const option of ['--version', '--help', '-help']) {
      const { code, stdout, stderr } = await runTool(OURS, [option])
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
      assert.match(
        stdout,
        option === '--version' ? /^TPM emulator control tool version \d+\.\d+\.\d+/ : /-stop/,
      )
    }
  })

  it('leaves an existing file as it was when the TPM refuses', async (t) => {
    const { directory, controlPath } = await startTpm(t, kinds[0]!)
    const file = join(directory, 'precious')
    writeFileSync(file, 'still here')
    for (const path of [file, join(directory, 'new')]) {
      const run = await runTool(OURS, ['--unix', controlPath, '--save', 'permanent', path])
      assert.deepEqual(run, {
        code: 1,
        stdout: '',
        stderr: 'TPM result from PTM_GET_STATEBLOB: 0xa (TPM_BAD_ORDINAL)\n',
      })
    }
    assert.equal(readFileSync(file, 'utf8'), 'still here')
    assert.equal(existsSync(join(directory, 'new')), false)
  })

  it('replaces a longer file', async (t) => {
    const { directory, controlPath } = await startTpm(t, kinds[0]!, '--flags', 'not-need-init')
    const file = join(directory, 'long')
    writeFileSync(file, Buffer.alloc(100_000))
    assert.equal((await runTool(OURS, ['--unix', controlPath, '--save', 'permanent', file])).code, 0)
    assert.ok(statSync(file).size < 50_000)
  })

  it('hashes bytes that are no UTF-8 as they are', async (t) => {
    const pcrs = [DEBIANS, OURS].map(async (tool) => {
      const { dataPath, controlPath } = await startTpm(t, kinds[0]!, '--flags', 'not-need-init,startup-clear')
      // The shell makes the bytes: an argument of spawn() is text.
      const script = `exec "$0" --unix "$1" -h "$(printf 'a\\377\\200b')"`
      assert.equal((await runTool('/bin/sh', ['-c', script, tool, controlPath])).code, 0)
      return (await exchange(dataPath, [TPM2.pcrRead(17)]))[0]
    })
    const [expected, actual] = await Promise.all(pcrs)
    assert.deepEqual(actual, expected)
  })

  it('takes the device from TPM_DEVICE', async () => {
    const { code, stderr } = await runTool(OURS, ['-c'], { env: { TPM_DEVICE: '/dev/null' } })
    assert.equal(code, 1)
    assert.match(stderr, /^Could not execute PTM_GET_CAPABILITY on device "\/dev\/null"/)
  })

  it('does not wait for ever for a server that hangs', async (t) => {
    const { swtpm, controlPath } = await startTpm(t, kinds[0]!)
    swtpm.child.kill('SIGSTOP')
    const run = await runTool(OURS, ['--unix', controlPath, '-c'], { env: { SWTPM_IOCTL_TIMEOUT: '0.3' } })
    assert.equal(run.code, 1)
    assert.match(run.stderr, /^Could not execute PTM_GET_CAPABILITY: no answer from .* within 0\.3 s/)
  })
})

/** Sends TPM commands on one data connection. */
async function exchange(path: string, commands: readonly Uint8Array[]): Promise<Buffer[]> {
  const connection = await RawConnection.open(path)
  const responses: Buffer[] = []
  for (const command of commands) {
    connection.write(command)
    responses.push(await connection.readResponse())
  }
  connection.close()
  return responses
}
