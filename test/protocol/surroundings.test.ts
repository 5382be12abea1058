/** The programs where nothing is as they usually find it: in containers, services and empty root directories. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isListening } from '../support/listening.ts'
import { bin, type Cleanup, temporaryDirectory } from '../support/swtpm.ts'
import { waitFor } from '../support/wait.ts'

/** Without an account, unless somebody has made one of this number. */
const UID = 54_321
const notRoot = process.getuid?.() !== 0 && 'it takes root to be another user'

/** A directory of that user's. */
function ownDirectory(t: Cleanup): string {
  const directory = temporaryDirectory(t)
  chownSync(directory, UID, UID)
  return directory
}

/**
 * Runs a program as that user: no environment but PATH and a TMPDIR that is not there, a working directory that has been removed.
 * @param redirect for the shell: what becomes of the standard descriptors
 */
function bare(directory: string, program: string, args: readonly string[], redirect = '') {
  const gone = join(directory, 'gone')
  mkdirSync(gone)
  chmodSync(gone, 0o777)
  const script = `cd "$1" && rmdir "$1" && shift && exec "$@" ${redirect}`
  return spawn('sh', ['-c', script, 'sh', gone, bin(program), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    uid: UID,
    gid: UID,
    env: { PATH: process.env.PATH, TMPDIR: '/no/such/folder' },
  })
}

async function ended(directory: string, program: string, ...args: readonly string[]) {
  const child = bare(directory, program, args)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const [status] = await once(child, 'close')
  return { status, output }
}

describe('a user id without an account or HOME, in a directory that has been removed,', {
  skip: notRoot,
}, () => {
  it('makes and serves a TPM, also with the standard descriptors closed', async (t) => {
    const directory = ownDirectory(t)
    const place = join(directory, 'state')
    mkdirSync(place)
    chownSync(place, UID, UID)
    const made = await ended(directory, 'swtpm_setup', '--tpm2', '--tpmstate', place, '--createek')
    assert.equal(made.status, 0, made.output)
    const [control, data, log] = ['control', 'data', 'log'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ]
    const swtpm = bare(
      directory,
      'swtpm',
      [
        ...[
          'socket',
          '--tpm2',
          '--tpmstate',
          `dir=${place}`,
          '--flags',
          'startup-clear',
          '--log',
          `file=${log}`,
        ],
        ...['--ctrl', `type=unixio,path=${control}`, '--server', `type=unixio,path=${data}`],
      ],
      '<&- >&- 2>&-',
    )
    t.after(() => swtpm.kill('SIGKILL'))
    const end = once(swtpm, 'close')
    await waitFor(() => isListening(control) && isListening(data), { what: 'it to listen' })
    const firmware = await ended(directory, 'swtpm_bios', '--tpm2', '--unix', data, '-n', '-cs')
    assert.deepEqual(firmware, { status: 0, output: '' })
    assert.deepEqual(await ended(directory, 'swtpm_ioctl', '--unix', control, '-s'), {
      status: 0,
      output: '',
    })
    assert.deepEqual(await end, [0, null])
    assert.deepEqual(readdirSync(directory).sort(), ['log', 'state'])
  })

  it('is answered by the programs that need no more', async (t) => {
    const directory = ownDirectory(t)
    const file = join(directory, 'swtpm.internal-tpm_a.json')
    const cases: readonly (readonly [status: number, said: RegExp, program: string, ...args: string[]])[] = [
      [0, /version/, 'swtpm', '--version'],
      [0, /Usage:/, 'swtpm_cert', '--help'],
      [0, /Usage:/, 'swtpm', 'socket', '--help'],
      [0, /swtpm-completions/, 'swtpm', 'completion'],
      [0, /^socket$/m, 'swtpm', '--get-yargs-completions', 'swtpm', 'so'],
      [0, /^$/, 'swtpm', 'cdi', 'write', '--name', 'a', '--device', '/dev/null', '--dir', directory],
      [
        1,
        /Missing --ctrl .* XDG_RUNTIME_DIR is not set; SWTPM_FLEET_SOCKET=PATH names one/,
        'swtpm',
        'fleet',
        'list',
      ],
      [
        1,
        /"x" begins in the working directory/,
        'swtpm',
        'cdi',
        'write',
        '--name',
        'b',
        '--device',
        '/dev/null',
        '--dir',
        directory,
        '--end-with-container',
        'x',
      ],
      [0, /"features"/, 'swtpm_setup', '--tpm2', '--print-capabilities'],
      [0, /"features"/, 'swtpm_cert', '--print-capabilities'],
      [0, /version/, 'swtpm_localca', '--version'],
    ]
    for (const [status, said, program, ...args] of cases) {
      const result = await ended(directory, program, ...args)
      assert.equal(result.status, status, `${program} ${args}: ${result.output}`)
      assert.match(result.output, said)
    }
    assert.deepEqual(readdirSync(directory), [file.slice(directory.length + 1)])
  })
})

describe('few descriptors', () => {
  it('let a TPM be served, or are what it ends for, with nothing left behind', (t) => {
    // Node itself takes some twenty.
    for (const limit of [21, 22, 23]) {
      const directory = temporaryDirectory(t)
      const state = join(directory, 'state')
      mkdirSync(state)
      const sockets = [
        '--ctrl',
        `type=unixio,path=${directory}/control`,
        '--server',
        `type=unixio,path=${directory}/data`,
      ]
      const args = ['socket', '--tpm2', '--tpmstate', `dir=${state}`, ...sockets]
      const script = 'ulimit -n "$1" && shift && exec "$@"'
      const { status, stderr } = spawnSync('sh', ['-c', script, 'sh', String(limit), bin('swtpm'), ...args], {
        encoding: 'utf8',
        timeout: 30_000,
      })
      // Other versions of Node need more, and say so before the program runs; or fewer, and the TPM is served.
      if (status === null || status === 0 || !stderr.startsWith('swtpm: ')) continue
      assert.equal(status, 1)
      assert.match(
        stderr,
        /^swtpm: Cannot .*: too many open files \(`ulimit -n` raises the limit of a process\)\n$/,
      )
      assert.deepEqual(readdirSync(directory), ['state'])
    }
  })
})
