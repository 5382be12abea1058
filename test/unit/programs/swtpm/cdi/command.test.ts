/** `swtpm cdi`: what it writes, what it refuses. */
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import {
  cdiSpecification,
  fileName,
  isDeviceName,
  kindFault,
} from '../../../../../src/programs/swtpm/cdi/cdi-specification.ts'
import { bin, temporaryDirectory } from '../../../../support/swtpm.ts'

const run = (...args: string[]): Promise<{ code: number; stderr: string; stdout: string }> =>
  new Promise((resolve) => {
    execFile(bin('swtpm'), ['cdi', ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })

describe('the CDI specification of a TPM', () => {
  it('shows a TPM 2.0 as the first one, with its resource manager', () => {
    const tpm = { name: 'web', device: '/dev/tpm7', resourceManager: '/dev/tpmrm7', end: undefined }
    assert.deepEqual(cdiSpecification(tpm, 'example.org/tpm', '0.6.0'), {
      cdiVersion: '0.6.0',
      kind: 'example.org/tpm',
      devices: [
        {
          name: 'web',
          containerEdits: {
            env: ['TPM2TOOLS_TCTI=device:/dev/tpmrm0'],
            deviceNodes: [
              { path: '/dev/tpm0', hostPath: '/dev/tpm7', permissions: 'rw' },
              { path: '/dev/tpmrm0', hostPath: '/dev/tpmrm7', permissions: 'rw' },
            ],
          },
        },
      ],
    })
  })

  it('shows one without resource manager as /dev/tpm0 alone', () => {
    const tpm = { name: 'a', device: '/dev/vtpm0', resourceManager: undefined, end: undefined }
    const edits = cdiSpecification(tpm, 'example.org/tpm', '0.5.0').devices[0]?.containerEdits
    assert.deepEqual(edits, {
      env: ['TPM2TOOLS_TCTI=device:/dev/tpm0'],
      deviceNodes: [{ path: '/dev/tpm0', hostPath: '/dev/vtpm0', permissions: 'rw' }],
    })
  })

  it('ends no process that has got the number of a TPM that was killed', async (t) => {
    const other = spawn('sleep', ['1000'])
    t.after(() => other.kill('SIGKILL'))
    const pidFile = join(temporaryDirectory(t), 'a b.pid')
    writeFileSync(pidFile, `${other.pid}\n`)
    const end = { pidFile, files: [pidFile] }
    const tpm = { name: 'a', device: '/dev/tpm7', resourceManager: undefined, end }
    const [hook] = cdiSpecification(tpm, 'example.org/tpm', '0.6.0').devices[0]?.containerEdits.hooks ?? []
    execFileSync(hook?.path as string, hook?.args.slice(1))
    assert.ok(!existsSync(pidFile))
    assert.ok(process.kill(other.pid as number, 0))
  })

  it('ends a TPM with its container', () => {
    const end = { pidFile: '/run/a b.pid', files: ['/run/cdi/a.json'] }
    const tpm = { name: 'a', device: '/dev/tpm7', resourceManager: undefined, end }
    const [hook] = cdiSpecification(tpm, 'example.org/tpm', '0.6.0').devices[0]?.containerEdits.hooks ?? []
    assert.deepEqual(hook, {
      hookName: 'poststop',
      path: '/bin/sh',
      args: ['sh', '-c', hook?.args[2], '/run/a b.pid', '/run/cdi/a.json'],
    })
  })

  it('knows what can be a name and a kind', () => {
    for (const name of ['a', 'web-1', 'a.b_c:d', '0']) assert.ok(isDeviceName(name), name)
    for (const name of ['', '-a', 'a-', '../a', 'a/b', 'a b']) assert.ok(!isDeviceName(name), name)
    for (const kind of ['example.org/tpm', 'a/b', 'swtpm.internal/tpm-1'])
      assert.equal(kindFault(kind), undefined)
    for (const kind of ['', 'tpm', '/tpm', 'a/', 'a/b/c', '../etc/x', 'a./b', '1/b'])
      assert.ok(kindFault(kind), kind)
    assert.equal(fileName('example.org/tpm', 'web:1'), 'example.org-tpm_web-1.json')
  })
})

describe('swtpm cdi', () => {
  it('writes a file that all may read, again over the old one, and removes it, twice if asked', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'swtpm-cdi-'))
    t.after(() => rmSync(directory, { recursive: true }))
    const where = ['--name', 'web', '--dir', join(directory, 'cdi')]
    const file = join(directory, 'cdi/swtpm.internal-tpm_web.json')
    for (const device of ['/dev/null', '/dev/zero']) {
      assert.deepEqual(await run('write', ...where, '--device', device), { code: 0, stdout: '', stderr: '' })
      assert.equal(
        JSON.parse(readFileSync(file, 'utf8')).devices[0].containerEdits.deviceNodes[0].hostPath,
        device,
      )
    }
    assert.equal(statSync(file).mode & 0o777, 0o644)
    assert.deepEqual(readdirSync(join(directory, 'cdi')), ['swtpm.internal-tpm_web.json'])
    for (let times = 0; times < 2; times++) assert.equal((await run('remove', ...where)).code, 0)
    assert.deepEqual(readdirSync(join(directory, 'cdi')), [])
  })

  it('says what is wrong', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'swtpm-cdi-'))
    t.after(() => rmSync(directory, { recursive: true }))
    writeFileSync(join(directory, 'file'), '')
    for (const [args, message] of [
      [[], /Missing verb: write, remove/],
      [['list'], /Unknown verb "list"/],
      [['write', '--device', '/dev/null'], /--name NAME/],
      [['write', '--name', 'a'], /--device PATH/],
      [['write', '--name', '../a', '--device', '/dev/null'], /cannot be a device's name/],
      [['write', '--name', 'a', '--device', join(directory, 'file')], /is not a device: start the TPM first/],
      [['write', '--name', 'a', '--kind', 'tpm', '--device', '/dev/null'], /a vendor and a class/],
      [['write', '--name', 'a', '--device', '/dev/null', '--dir', join(directory, 'file')], /Cannot write/],
      [['write', '--cdi-version', '9'], /--cdi-version: "9" is none of/],
    ] as const) {
      const { code, stderr } = await run(...args)
      assert.equal(code, 1, args.join(' '))
      assert.match(stderr, message)
    }
    assert.match((await run('--help')).stdout, /podman run --device/)
  })
})
