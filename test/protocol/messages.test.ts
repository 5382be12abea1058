/** What swtpm says when it cannot start: each cause once, and one line for what failed because of it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { bin, type Cleanup, Swtpm, temporaryDirectory } from '../support/swtpm.ts'

/** The lines that swtpm writes itself; libtpms has its own. */
async function messages(t: Cleanup, directory: string, env: NodeJS.ProcessEnv = {}): Promise<string[]> {
  const args = ['--tpm2', '--flags', 'startup-clear', '--tpmstate', `dir=${directory}`]
  const swtpm = new Swtpm(['socket', ...args, '--server', `type=unixio,path=${join(directory, 'data')}`], {
    env,
  })
  t.after(() => swtpm.stop('SIGKILL'))
  assert.equal(await swtpm.exited, 1)
  return swtpm.stderr.split('\n').filter((line) => line.startsWith('swtpm: '))
}

describe('a start that fails', () => {
  it('with a damaged state: what is wrong with it, and that the TPM does not start', async (t) => {
    const directory = temporaryDirectory(t)
    writeFileSync(join(directory, 'tpm2-00.permall'), 'not a state')
    const lines = await messages(t, directory)
    assert.equal(lines.length, 2)
    assert.match(lines[0] ?? '', /Cannot use state "tpm2-00.permall": its header/)
    assert.match(lines[1] ?? '', /Cannot start the TPM: libtpms result 0x101$/)
  })

  it('without an engine: its path and why', async (t) => {
    assert.deepEqual(await messages(t, temporaryDirectory(t), { SWTPM_ENGINE: '/no/such/engine' }), [
      'swtpm: Cannot start the engine "/no/such/engine": no such file or directory',
    ])
  })
})

/** A program to its end, and what it said on standard error. */
function run(
  program: string,
  args: readonly string[],
  options: { uid?: number; env?: NodeJS.ProcessEnv } = {},
) {
  const { uid, env = process.env } = options
  const { status, stderr } = spawnSync(bin(program), args, {
    encoding: 'utf8',
    env,
    timeout: 60_000,
    ...(uid !== undefined && { uid, gid: uid }),
  })
  assert.doesNotMatch(stderr, /^\s+at |internal error|\bE[A-Z]{3,}: /im)
  return { status, stderr }
}

describe('a system error', () => {
  it('is a sentence on standard error and in the log file, whichever program meets it', (t) => {
    const directory = temporaryDirectory(t)
    const file = join(directory, 'file')
    writeFileSync(file, '')
    const inFile = join(file, 'x')
    const logs = ['a', 'b', 'c', 'd', 'e'].map((name) => join(directory, name)) as [string, ...string[]]
    const through = new RegExp(`"${inFile}.*not a directory \\("${file}" is no directory\\)`)
    const starts: readonly (readonly [program: string, args: readonly string[], log: string | undefined])[] =
      [
        [
          'swtpm',
          [
            'socket',
            '--tpmstate',
            `dir=${inFile}`,
            '--ctrl',
            `type=unixio,path=${directory}/control`,
            '--log',
            `file=${logs[0]}`,
          ],
          logs[0],
        ],
        [
          'swtpm',
          [
            'socket',
            '--tpmstate',
            `dir=${directory}`,
            '--ctrl',
            `type=unixio,path=${inFile}`,
            '--log',
            `file=${logs[1]}`,
          ],
          logs[1],
        ],
        [
          'swtpm',
          ['socket', '--print-states', '--tpmstate', `dir=${inFile}`, '--log', `file=${logs[2]}`],
          logs[2],
        ],
        ['swtpm', ['fleet', '--ctrl', `type=unixio,path=${inFile}`, '--log', `file=${logs[3]}`], logs[3]],
        ['swtpm', ['cdi', 'write', '--name', 'a', '--device', inFile], undefined],
        ['swtpm_setup', ['--tpm2', '--tpmstate', inFile, '--logfile', logs[4] as string], logs[4]],
      ]
    for (const [program, args, log] of starts) {
      const { status, stderr } = run(program, args)
      assert.equal(status, 1, stderr)
      assert.match(stderr, through)
      if (log !== undefined) assert.match(readFileSync(log, 'utf8'), through)
      assert(!existsSync(join(directory, 'control')))
    }
  })

  it('says which user may not do what', { skip: process.getuid?.() !== 0 && 'it takes root' }, (t) => {
    const directory = temporaryDirectory(t)
    chmodSync(directory, 0o755)
    const closed = join(directory, 'closed')
    mkdirSync(join(closed, 'state'), { recursive: true })
    chmodSync(closed, 0o700)
    const uid = 54_321
    for (const args of [
      ['socket', '--tpmstate', `dir=${closed}/state`, '--ctrl', `type=unixio,path=${directory}/control`],
      ['cdi', 'write', '--name', 'a', '--device', `${closed}/state/tpm`],
    ]) {
      const { status, stderr } = run('swtpm', args, { uid, env: { PATH: process.env.PATH } })
      assert.equal(status, 1)
      assert.match(
        stderr,
        new RegExp(`permission denied \\(user with the id ${uid} may not enter "${closed}"\\)`),
      )
    }
  })

  it('before the log is opened is in the log', (t) => {
    const log = join(temporaryDirectory(t), 'log')
    const { status, stderr } = run('swtpm_setup', ['--runas', 'nosuchuser', '--logfile', log])
    assert.equal(status, 1)
    assert.match(stderr, /User "nosuchuser" does not exist/)
    assert.equal(readFileSync(log, 'utf8'), stderr)
    const args = ['socket', '--runas', 'nosuchuser', '--tpmstate', 'dir=/', '--ctrl', 'type=tcp,port=0']
    assert.equal(run('swtpm', [...args, '--log', `file=${log},truncate`]).status, 1)
    assert.equal(readFileSync(log, 'utf8'), stderr)
  })

  it('of standard output is one, but for a reader who has gone', () => {
    for (const [program, args] of [
      ['swtpm', ['--version']],
      ['swtpm', ['socket', '--print-capabilities']],
      ['swtpm_cert', ['--version']],
    ] as const) {
      const { status, stderr } = spawnSync('sh', ['-c', '"$0" "$@" > /dev/full', bin(program), ...args], {
        encoding: 'utf8',
      })
      assert.match(stderr, /^(swtpm: )?Cannot write to standard output: no space left on device\n$/)
      assert.equal(status, 1)
    }
    const gone = spawnSync('bash', ['-c', '"$0" --help | true; echo $PIPESTATUS', bin('swtpm')], {
      encoding: 'utf8',
    })
    assert.deepEqual([gone.stdout, gone.stderr], ['0\n', ''])
  })
})
