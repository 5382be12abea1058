/** What swtpm says when it cannot start: each cause once, and one line for what failed because of it. */
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { bin, type Cleanup, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'

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
    assert.match(lines[1] ?? '', /Cannot start the TPM: libtpms result 0x101 \(TPM_RC_FAILURE\)$/)
  })

  it('without an engine: its path and why', async (t) => {
    assert.deepEqual(await messages(t, temporaryDirectory(t), { SWTPM_ENGINE: '/no/such/engine' }), [
      'swtpm: Cannot start the engine "/no/such/engine": no such file or directory',
    ])
  })
})

interface Ended {
  readonly status: number | NodeJS.Signals
  readonly stderr: string
}

/** A program to its end, and what it said on standard error. */
async function run(
  program: string,
  args: readonly string[],
  { uid, env = process.env }: { uid?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> {
  const child = spawn(bin(program), args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env,
    ...(uid !== undefined && { uid, gid: uid }),
  })
  let stderr = ''
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [code, signal] = await once(child, 'close')
  assert.doesNotMatch(stderr, /^\s+at |internal error|\bE[A-Z]{3,}: /im)
  return { status: code ?? signal, stderr }
}

/** As {@link run}, for a program that is to fail. */
async function refused(program: string, ...args: readonly string[]): Promise<string> {
  const { status, stderr } = await run(program, args)
  assert.equal(status, program === 'swtpm_bios' ? 255 : 1, stderr)
  return stderr
}

describe('the client tools, named a wrong place,', () => {
  it('say that it is the other socket', async (t) => {
    const { dataPath, controlPath } = await startSocketTpm(t)
    const state = join(temporaryDirectory(t), 'state')
    // One after another: a TPM has one client at a time.
    for (const command of [['-i'], ['-c'], ['--save', 'permanent', state]])
      assert.equal(
        (await refused('swtpm_ioctl', '--unix', dataPath, ...command)).replace(/PTM_\w+/, 'it'),
        `Could not execute it: Unix socket "${dataPath}" answers as a data channel; name the control channel, swtpm's --ctrl\n`,
      )
    assert.equal(
      await refused('swtpm_bios', '--tpm2', '--unix', controlPath),
      `Could not execute TPM2_Startup: Unix socket "${controlPath}" answers as a control channel; name the data channel, swtpm's --server\n`,
    )
    assert.equal(
      await refused('swtpm_ioctl', '--tpm-device', controlPath, '-i'),
      `Unable to open device "${controlPath}": it is a Unix socket; use --unix ${controlPath}\n`,
    )
    assert.match(
      await refused('swtpm_bios', '--tpm2', '--tpm-device', dataPath),
      /it is a Unix socket; use --unix/,
    )
  })

  it('say what is there instead, and leave it as it is', async (t) => {
    const directory = temporaryDirectory(t)
    const file = join(directory, 'file')
    writeFileSync(file, 'precious')
    const cases: readonly (readonly [option: string, place: string, said: RegExp])[] = [
      ['--unix', file, /"[^"]*": it is a regular file, not a socket\n$/],
      ['--unix', directory, /it is a directory, not a socket\n$/],
      ['--unix', '/dev/null', /it is a device; name it by --tpm-device\n$/],
      ['--unix', `${file}/x`, /not a directory \("[^"]*file" is no directory\)/],
      ['--unix', join(directory, 'none'), /there is no such file; has swtpm/],
      ['--tcp', '127.0.0.1:1', /connection refused; nothing listens there/],
      ['--tpm-device', file, /it is a regular file; a device is named/],
      ['--tpm-device', directory, /it is a directory; a device is named/],
      ['--tpm-device', `${file}/x`, /not a directory/],
      ['--tpm-device', 'host:6545', /a TCP port is named by --tcp host:6545/],
    ]
    await Promise.all(
      cases.map(async ([option, place, said], index) => {
        // They share what says it.
        const [program, command] = index % 2 === 0 ? ['swtpm_ioctl', '-c'] : ['swtpm_bios', '--tpm2']
        assert.match(await refused(program, command, option, place), said)
      }),
    )
    await assert.doesNotReject(refused('swtpm_bios', '--tpm2', '--tpm-device', file))
    assert.equal(readFileSync(file, 'utf8'), 'precious')
    assert.match(
      await refused('swtpm', 'fleet', 'list', '--ctrl', `type=unixio,path=${file}`),
      /Cannot ask the fleet at "[^"]*": it is a regular file, not a socket\n$/,
    )
  })
})

describe('every program', () => {
  it('teaches by --help and has a version', () => {
    for (const program of [
      'swtpm',
      'swtpm_ioctl',
      'swtpm_bios',
      'swtpm_setup',
      'swtpm_localca',
      'swtpm_cert',
    ]) {
      // swtpm_ioctl -h hashes.
      for (const option of ['--help', ...(program === 'swtpm_ioctl' ? [] : ['-h'])]) {
        const { status, stdout, stderr } = spawnSync(bin(program), [option], { encoding: 'utf8' })
        assert.deepEqual([status, stderr], [0, ''])
        assert.match(stdout, /Usage:/)
        assert.match(stdout, /--help/)
        if (program !== 'swtpm') assert.match(stdout, /Examples?:/)
      }
      const { status, stdout } = spawnSync(bin(program), ['--version'], { encoding: 'utf8' })
      assert.equal(status, 0)
      assert.match(stdout, / version \d+\.\d+\.\d+/)
    }
  })
})

describe('a wrong command line', () => {
  it('is told on standard error and in the log that it names, whichever program it is of', async (t) => {
    const directory = temporaryDirectory(t)
    const state = ['--tpmstate', `dir=${directory}`]
    const lines: readonly (readonly [said: RegExp, program: string, ...args: string[]])[] = [
      [/unrecognized option '--bogus'/, 'swtpm', 'socket', '--bogus', '--log', 'file=@'],
      [/--ctrl: .*typ/, 'swtpm', 'socket', '--log', 'level=2,file=@', '--ctrl', 'typ=tcp'],
      [/Nothing to serve/, 'swtpm', 'socket', '--tpm2', '--log=file=@', ...state],
      [/Unknown parameter 'stray'/, 'swtpm', 'cuse', 'stray', '--log', 'file=@', ...state],
      [
        /swtpm: Unsupported TPM interface type 'scoket'; did you mean "socket"\?\nTry 'swtpm --help' for more\.\n/,
        'swtpm',
        'scoket',
        '--log',
        'file=@',
        ...state,
      ],
      [/--log is for swtpm fleet itself/, 'swtpm', 'fleet', 'add', '--log', 'file=@'],
      [/unrecognized option '--bogus'/, 'swtpm_setup', '--bogus', '--logf', '@'],
      [/requires an argument/, 'swtpm_localca', '--logfile=@', '--type'],
    ]
    await Promise.all(
      lines.map(async ([said, program, ...args], index) => {
        const log = join(directory, String(index))
        const stderr = await refused(program, ...args.map((word) => word.replace('@', log)))
        assert.match(stderr, said)
        assert.equal(readFileSync(log, 'utf8'), stderr)
      }),
    )
  })

  it('is told on standard error where there is no such log', async (t) => {
    const directory = temporaryDirectory(t)
    const precious = join(directory, 'precious')
    writeFileSync(precious, 'precious')
    symlinkSync(precious, join(directory, 'link'))
    for (const file of ['-', join(directory, 'link'), join(directory, 'none/log')])
      assert.match(await refused('swtpm', 'socket', '--bogus', '--log', `file=${file}`), /unrecognized/)
    const twice = await refused('swtpm', 'socket', '--bogus', '--log', 'fd=2')
    assert.equal(twice.match(/unrecognized/g)?.length, 1, twice)
    assert.equal(readFileSync(precious, 'utf8'), 'precious')
  })
})

describe('a system error', () => {
  it('is a sentence on standard error and in the log file, whichever program meets it', async (t) => {
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
    await Promise.all(
      starts.map(async ([program, args, log]) => {
        assert.match(await refused(program, ...args), through)
        if (log !== undefined) assert.match(readFileSync(log, 'utf8'), through)
      }),
    )
    assert(!existsSync(join(directory, 'control')))
  })

  it('says which user may not do what', { skip: process.getuid?.() !== 0 && 'it takes root' }, async (t) => {
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
      const { status, stderr } = await run('swtpm', args, { uid, env: { PATH: process.env.PATH } })
      assert.equal(status, 1)
      assert.match(
        stderr,
        new RegExp(`permission denied \\(user with the id ${uid} may not enter "${closed}"\\)`),
      )
    }
  })

  it('says how a user gets at a TPM that is closed to them', {
    skip: process.getuid?.() !== 0 && 'it takes root',
  }, async (t) => {
    const { dataPath, controlPath, directory } = await startSocketTpm(t)
    chmodSync(directory, 0o755)
    chmodSync(dataPath, 0o600)
    chmodSync(controlPath, 0o660)
    const [ofGroup, ofRoot] = [join(directory, 'tpm0'), join(directory, 'tpm1')]
    for (const path of [ofGroup, ofRoot]) execFileSync('mknod', ['-m', '660', path, 'c', '1', '3'])
    chownSync(ofGroup, 0, 1)
    const group = execFileSync('getent', ['group', '1'], { encoding: 'utf8' }).split(':')[0]
    const denied = 'permission denied \\(user with the id 54321\\)'
    const socket = `${denied}; run it with \`sudo\`, or start swtpm with mode=0660,gid=GROUP for this socket, where`
    for (const [program, option, path, said] of [
      ['swtpm_ioctl', '--unix', controlPath, socket],
      ['swtpm_bios', '--unix', dataPath, socket],
      [
        ...(['swtpm_ioctl', '--tpm-device', ofGroup] as const),
        `${denied}; run it with \`sudo\`, or join the group: \`sudo usermod -aG ${group} USER\`, and log in again$`,
      ],
      ['swtpm_bios', '--tpm-device', ofRoot, `${denied}; run it with \`sudo\`$`],
    ] as const) {
      const ends = program === 'swtpm_bios' ? 255 : 1
      const args = [option, path, program === 'swtpm_bios' ? '--tpm2' : '-c']
      const { status, stderr } = await run(program, args, { uid: 54_321, env: { PATH: process.env.PATH } })
      assert.equal(status, ends)
      assert.match(stderr, new RegExp(`^(Could not connect to|Unable to open) .*"${path}": ${said}`, 'm'))
    }
    chmodSync(directory, 0o700)
    const { stderr } = await run('swtpm_ioctl', ['--unix', controlPath, '-c'], { uid: 54_321 })
    assert.match(stderr, /may not enter "[^"]*"\); run it with `sudo`$/m)
  })

  it('before the log is opened is in the log', async (t) => {
    const log = join(temporaryDirectory(t), 'log')
    const { status, stderr } = await run('swtpm_setup', ['--runas', 'nosuchuser', '--logfile', log])
    assert.equal(status, 1)
    assert.match(stderr, /User "nosuchuser" does not exist/)
    assert.equal(readFileSync(log, 'utf8'), stderr)
    const args = ['socket', '--runas', 'nosuchuser', '--tpmstate', 'dir=/', '--ctrl', 'type=tcp,port=0']
    assert.equal((await run('swtpm', [...args, '--log', `file=${log},truncate`])).status, 1)
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
