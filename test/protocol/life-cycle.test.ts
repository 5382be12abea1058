/** How TPMs begin and end: signals, crashes of either process, locks, pid files, daemons. */
import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isListening } from '../support/listening.ts'
import { alive, atWork, enginePid } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { roundTrip } from '../support/round-trip.ts'
import { bin, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const withoutStrace = !existsSync('/usr/bin/strace') && 'there is no strace: apt-get install strace'

describe('SIGTERM', () => {
  it('ends cleanly: exit 0, no socket files, no engine, and the state starts again', async (t) => {
    const { swtpm, directory, dataPath, controlPath } = await startSocketTpm(t)
    const engine = await enginePid(swtpm.pid)
    assert.equal(await roundTrip(dataPath), 0)
    assert.equal(await swtpm.stop(), 0)
    assert.equal(existsSync(dataPath), false)
    assert.equal(existsSync(controlPath), false)
    assert.equal(alive(engine), false)
    const again = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-state'], { directory })
    assert.equal(await roundTrip(again.dataPath), 0)
    assert.equal(await again.swtpm.stop(), 0)
  })

  it('is one process to who looks for its command line', async (t) => {
    const { swtpm, directory } = await startSocketTpm(t)
    const withThese = (): string[] =>
      readdirSync('/proc').filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(directory)
        } catch {
          return false
        }
      })
    // The process that has started Node has the same words until it ends, as has an engine until it is executed.
    await waitFor(() => withThese().join() === String(swtpm.pid), { what: 'one process with these words' })
    assert.equal(await swtpm.stop(), 0)
  })

  it('ends right after a client has closed', async (t) => {
    const { swtpm, dataPath } = await startSocketTpm(t)
    for (let i = 0; i < 3; i++) assert.equal(await roundTrip(dataPath), 0)
    assert.equal(await swtpm.stop(), 0)
  })

  it('ends while a key is being made, by cancelling it', async (t) => {
    const { swtpm, dataPath } = await startSocketTpm(t)
    const data = await RawConnection.open(dataPath)
    data.write(TPM2.createPrimaryRsa(3072, Buffer.from('cancel me')))
    // The command is with the engine once its pump thread is at work.
    const engine = await enginePid(swtpm.pid)
    await waitFor(() => atWork(engine), { what: 'the engine to work' })
    assert.equal(await swtpm.stop(), 0)
    data.close()
  })
})

describe('SIGUSR1', () => {
  it('does not open Node’s debugger', async (t) => {
    const { swtpm, dataPath } = await startSocketTpm(t)
    process.kill(swtpm.pid, 'SIGUSR1')
    assert.equal(await roundTrip(dataPath), 0)
    assert.equal(await swtpm.stop(), 0)
    assert.equal(swtpm.stderr, '')
  })
})

describe('SIGTERM while a TPM starts', () => {
  for (const sign of ['.lock', 'data', 'control', 'tpm2-00.permall']) {
    it(`ends as well: when there is ${sign}`, async (t) => {
      for (let i = 0; i < 5; i++) {
        const directory = temporaryDirectory(t)
        const path = (name: string): string => join(directory, name)
        const swtpm = new Swtpm([
          ...['socket', '--tpm2', '--tpmstate', `dir=${directory}`, '--flags', 'startup-clear'],
          ...[
            '--server',
            `type=unixio,path=${path('data')}`,
            '--ctrl',
            `type=unixio,path=${path('control')}`,
          ],
        ])
        await swtpm.until(() => existsSync(path(sign)), `there is ${sign}`)
        const code = await swtpm.stop()
        // Before there is a handler the signal itself ends it.
        assert.ok(code === 0 || code === 'SIGTERM', `${code}: ${swtpm.stderr}`)
        assert.equal(swtpm.stderr, '')
      }
    })
  }
})

describe('a process that is killed', () => {
  it('engine that has not been powered on: clients see the end at once, the supervisor says why and exits 1', async (t) => {
    const { swtpm, dataPath, controlPath } = await startSocketTpm(t, ['--tpm2'])
    const data = await RawConnection.open(dataPath)
    const control = await RawConnection.open(controlPath)
    process.kill(await enginePid(swtpm.pid), 'SIGKILL')
    await data.readToEnd()
    await control.readToEnd()
    assert.equal(await swtpm.exited, 1)
    assert.match(swtpm.stderr, /engine has ended unexpectedly: it was killed by SIGKILL/)
  })

  it('supervisor: the engine stores, ends, and lets the lock go', async (t) => {
    const { swtpm, directory, dataPath } = await startSocketTpm(t)
    const engine = await enginePid(swtpm.pid)
    assert.equal(await roundTrip(dataPath), 0)
    await swtpm.stop('SIGKILL')
    await waitFor(() => !alive(engine), { what: 'the engine to end' })
    const again = await startSocketTpm(t, ['--tpm2', '--flags', 'startup-state'], { directory })
    assert.equal(await roundTrip(again.dataPath), 0)
  })
})

describe('one state, two instances', () => {
  it('starts only one, and says who holds the state', async (t) => {
    const { swtpm, directory } = await startSocketTpm(t)
    const link = join(temporaryDirectory(t), 'link')
    symlinkSync(directory, link)
    const second = new Swtpm([
      ...['socket', '--tpm2', '--flags', 'startup-clear', '--tpmstate', `dir=${link}`],
      ...['--server', `type=unixio,path=${link}2`],
    ])
    t.after(() => second.stop('SIGKILL'))
    assert.equal(await second.exited, 1)
    assert.match(
      second.stderr,
      new RegExp(`Cannot lock state directory "${link}": held by process ${swtpm.pid}\\n`),
    )
  })

  it('says what is wrong with a state directory that is not there', async (t) => {
    const missing = join(temporaryDirectory(t), 'missing')
    const swtpm = new Swtpm([
      'socket',
      '--tpm2',
      '--tpmstate',
      `dir=${missing}`,
      '--ctrl',
      `type=unixio,path=${missing}c`,
    ])
    t.after(() => swtpm.stop('SIGKILL'))
    assert.equal(await swtpm.exited, 1)
    assert.match(
      swtpm.stderr,
      new RegExp(`Cannot open state directory "${missing}": no such file or directory; make it with`),
    )
  })
})

describe('a start that fails', () => {
  const damage = (directory: string): void => writeFileSync(join(directory, 'tpm2-00.permall'), 'not a state')
  const failures: {
    readonly what: string
    readonly args?: (directory: string) => string[]
    readonly prepare?: (directory: string) => void
    readonly env?: NodeJS.ProcessEnv
    readonly says: RegExp
  }[] = [
    { what: 'without an engine', env: { SWTPM_ENGINE: '/nope' }, says: /Cannot start the engine "\/nope"/ },
    { what: 'with a damaged state', prepare: damage, says: /Cannot start the TPM/ },
    {
      what: 'with a pid file in a directory that is not there',
      args: (directory) => ['--pid', `file=${directory}/missing/pid`],
      says: /Cannot write pid file ".*missing\/pid": no such file or directory/,
    },
    {
      what: 'with a control socket in a directory that is not there',
      args: (directory) => ['--ctrl', `type=unixio,path=${directory}/missing/control`],
      says: /Cannot listen on ".*missing\/control"/,
    },
    {
      what: 'with an unreadable profile',
      args: (directory) => ['--profile', `file=${directory}/missing`],
      says: /Cannot read profile/,
    },
  ]
  for (const { what, args, prepare, env, says } of failures) {
    it(`${what}: leaves no socket, no pid file and no lock`, async (t) => {
      const directory = temporaryDirectory(t)
      const state = join(directory, 'state')
      mkdirSync(state)
      prepare?.(state)
      const left = (): string[] => readdirSync(directory).filter((name) => name !== 'state')
      const options = [
        ...['socket', '--tpm2', '--flags', 'startup-clear', '--tpmstate', `dir=${state}`],
        ...['--server', `type=unixio,path=${directory}/data`],
      ]
      const pid = ['--pid', `file=${directory}/pid`]
      const swtpm = new Swtpm([...options, ...pid, ...(args?.(directory) ?? [])], { ...(env && { env }) })
      t.after(() => swtpm.stop('SIGKILL'))
      assert.equal(await swtpm.exited, 1)
      assert.match(swtpm.stderr, says)
      assert.deepEqual(left(), [])
      rmSync(join(state, 'tpm2-00.permall'), { force: true })
      const again = await startSocketTpm(t, undefined, { directory: state })
      assert.equal(await again.swtpm.stop(), 0)
    })
  }

  it('with a device that is not there: leaves no control socket', async (t) => {
    const directory = temporaryDirectory(t)
    const swtpm = new Swtpm([
      ...['chardev', '--tpm2', '--tpmstate', `dir=${directory}`, '--chardev', `/nope`],
      ...['--ctrl', `type=unixio,path=${directory}/control`, '--pid', `file=${directory}/pid`],
    ])
    t.after(() => swtpm.stop('SIGKILL'))
    assert.equal(await swtpm.exited, 1)
    assert.match(swtpm.stderr, /Cannot open \/nope: no such file or directory/)
    assert.deepEqual(readdirSync(directory), [])
  })

  it('on a file system without locks: says how to do without', { skip: withoutStrace }, async (t) => {
    const directory = temporaryDirectory(t)
    const args = (lock: string): string[] => [
      ...['socket', '--tpm2', '--flags', 'startup-clear', '--tpmstate', `dir=${directory}${lock}`],
      ...['--server', `type=unixio,path=${directory}/data`],
    ]
    // As a child of the program that it watches.
    const withoutLocks = ['-D', '-f', '-o', '/dev/null', '-P', join(directory, '.lock'), '-e', 'trace=fcntl']
    const start = (lock: string): Swtpm =>
      new Swtpm([...withoutLocks, '-e', 'inject=fcntl:error=ENOLCK', bin('swtpm'), ...args(lock)], {
        program: 'strace',
      })
    const swtpm = start('')
    t.after(() => swtpm.stop('SIGKILL'))
    assert.equal(await swtpm.exited, 1)
    assert.match(swtpm.stderr, /Cannot lock state directory ".*": its file system has no locks; .*lock=false/)
    assert.doesNotMatch(swtpm.stderr, /internal error/)
    assert.equal(existsSync(join(directory, 'data')), false)
    const without = start(',lock=false')
    t.after(() => without.stop('SIGKILL'))
    await without.until(() => isListening(join(directory, 'data')), 'it listens')
    assert.equal(await without.stop(), 0)
  })
})

describe('background and pid file', () => {
  it('-d returns when the TPM is ready; the pid file names the TPM and goes with it', async (t) => {
    const directory = temporaryDirectory(t)
    const pidFile = join(directory, 'pid')
    const dataPath = join(directory, 'data')
    const parent = new Swtpm([
      ...['socket', '-d', '--tpm2', '--flags', 'startup-clear', '--tpmstate', `dir=${directory}`],
      ...['--server', `type=unixio,path=${dataPath}`, '--pid', `file=${pidFile}`],
    ])
    assert.equal(await parent.exited, 0, parent.stderr)
    const pid = Number(readFileSync(pidFile, 'utf8'))
    t.after(() => alive(pid) && process.kill(pid, 'SIGKILL'))
    assert.notEqual(pid, parent.pid)
    assert.match(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /swtpm\0socket\0/)
    assert.equal(await roundTrip(dataPath), 0)
    process.kill(pid, 'SIGTERM')
    await waitFor(() => !alive(pid), { what: 'the daemon to end' })
    assert.equal(existsSync(pidFile), false)
  })

  it('-d keeps the descriptors that it was handed, whatever their numbers', async (t) => {
    const directory = temporaryDirectory(t)
    const pidFile = join(directory, 'pid')
    const script = `exec 3<>${directory}/pid 4<>${directory}/log 9<>${directory}/stranger; "$@" 5< <(printf secret)`
    const parent = new Swtpm(
      [
        ...['-c', script, 'bash', bin('swtpm'), 'socket', '-d', '--tpm2', '--flags', 'startup-clear'],
        ...['--tpmstate', `dir=${directory}`, '--server', `type=unixio,path=${directory}/data`],
        ...['--pid', 'fd=3', '--log', 'fd=4,level=2', '--key', 'pwdfd=5'],
      ],
      { program: '/bin/bash' },
    )
    assert.equal(await parent.exited, 0, parent.stderr)
    const pid = Number(readFileSync(pidFile, 'utf8'))
    t.after(() => alive(pid) && process.kill(pid, 'SIGKILL'))
    assert.equal(await roundTrip(join(directory, 'data')), 0)
    await waitFor(() => readFileSync(join(directory, 'log'), 'utf8').includes('SWTPM_IO_Read'), {
      what: 'the log',
    })
    assert.equal(readlinkSync(`/proc/${pid}/fd/9`), join(directory, 'stranger'))
    assert.ok(existsSync(join(directory, 'tpm2-00.permall')))
    process.kill(pid, 'SIGTERM')
    await waitFor(() => !alive(pid), { what: 'the daemon to end' })
    assert.equal(existsSync(pidFile), false)
  })

  it('-d reports a failure to the one who waits', async (t) => {
    const directory = temporaryDirectory(t)
    const parent = new Swtpm([
      ...['socket', '-d', '--tpm2', '--flags', 'startup-clear', '--tpmstate', `dir=${directory}/missing`],
      ...['--server', `type=unixio,path=${directory}/data`],
    ])
    assert.equal(await parent.exited, 1)
    assert.match(parent.stderr, /Cannot open state directory/)
  })
})

describe('the executables', () => {
  it('run through a symlink, from any directory, and keep their pid', async (t) => {
    const directory = temporaryDirectory(t)
    const link = join(directory, 'my-swtpm')
    symlinkSync(bin('swtpm'), link)
    const swtpm = new Swtpm(
      [
        ...['socket', '--tpm2', '--flags', 'startup-clear', '--tpmstate', 'dir=.'],
        ...['--server', 'type=unixio,path=data', '--pid', 'file=pid'],
      ],
      { program: link, cwd: directory },
    )
    t.after(() => swtpm.stop('SIGKILL'))
    const pidFile = join(directory, 'pid')
    await swtpm.until(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '', 'it serves')
    assert.equal(await roundTrip(join(directory, 'data')), 0)
    assert.equal(Number(readFileSync(pidFile, 'utf8')), swtpm.pid)
    assert.equal(await swtpm.stop(), 0)
  })
})

describe('the engine process', () => {
  it('has no descriptors but its own', async (t) => {
    const { swtpm } = await startSocketTpm(t)
    const open = readdirSync(`/proc/${await enginePid(swtpm.pid)}/fd`).map(Number)
    assert.ok(
      open.every((fd) => fd < 16),
      `descriptors ${open.join(', ')}`,
    )
  })
})

describe('an engine that does not answer', () => {
  for (const [what, signals] of [
    ['SIGTERM', 1],
    ['a second SIGTERM', 2],
  ] as const) {
    it(`does not keep swtpm from ending: ${what}`, async (t) => {
      const directory = temporaryDirectory(t)
      const pidFile = join(directory, 'pid')
      const { swtpm, dataPath, controlPath } = await startSocketTpm(
        t,
        ['--tpm2', '--flags', 'startup-clear', '--pid', `file=${pidFile}`],
        { directory },
      )
      const engine = await enginePid(swtpm.pid)
      process.kill(engine, 'SIGSTOP')
      swtpm.child.kill('SIGTERM')
      if (signals === 2) {
        // The sockets go first: the signal has been taken.
        await swtpm.until(() => !existsSync(controlPath), 'it ends')
        swtpm.child.kill('SIGTERM')
      }
      assert.equal(await swtpm.exited, 0, swtpm.stderr)
      assert.equal(alive(engine), false)
      for (const path of [dataPath, controlPath, pidFile]) assert.equal(existsSync(path), false, path)
      if (signals === 1) assert.match(swtpm.stderr, /has not answered SHUTDOWN.*\n.*it is killed/)
      // Nothing that was acknowledged is lost, and the state is free.
      const again = await startSocketTpm(t, undefined, { directory })
      assert.equal(await roundTrip(again.dataPath), 0)
    })
  }
})
