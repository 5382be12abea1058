/**
 * What a guest that has broken into the TPM is left with: read off live processes, and off the filters that the kernel
 * has installed for them.
 */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { EngineOptions } from '../../src/engine-client/channel/engine-program.ts'
import { Spawner } from '../../src/engine-client/channel/spawner.ts'
import { EngineClient } from '../../src/engine-client/engine-client.ts'
import { noCompiler } from '../support/compilers.ts'
import { ENGINE_DEFAULTS } from '../support/engine-defaults.ts'
import { enginePid } from '../support/processes.ts'
import { PYTHON } from '../support/python.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Cleanup, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { NV, numbered } from './support/engine-tpm.ts'
import { figure } from './support/scale.ts'
import {
  ALLOW,
  cannotFetchFilters,
  FAIL,
  FOREIGN,
  KILL_PROCESS,
  LOG,
  SeccompFilter,
} from './support/seccomp-filter.ts'
import { numbersOf } from './support/system-calls.ts'

const withoutRoot = process.getuid?.() !== 0 && 'it takes root to start something as another user'
const OTHER_USER = 54321
const THIRD_USER = 54322
/** Far more than the kernel has. */
const SYSTEM_CALLS = 1024
const MAX_ALLOWED = 32
const X32 = 0x40000000
const NO_CAPABILITIES = '0000000000000000'

/** One field of /proc/PID/status, of all threads: each value once. */
function status(pid: number, field: string): string[] {
  const values = readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    try {
      const text = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8')
      return [new RegExp(`^${field}:[ \\t]*(.*)$`, 'm').exec(text)?.[1]]
    } catch {
      return [] // it has ended meanwhile
    }
  })
  return [...new Set(values.map(String))]
}

/** Soft and hard. */
function limit(pid: number, name: string): string[] {
  const line = new RegExp(`^${name}\\s+(\\S+)\\s+(\\S+)`, 'm').exec(
    readFileSync(`/proc/${pid}/limits`, 'utf8'),
  )
  return line?.slice(1) ?? []
}

/** What another process of the same user, without any capability, gets when it reaches for `pid`. */
function reach(pid: number, uid: number): string {
  const script = `
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
said = []
for name in ['mem', 'environ', 'maps', 'fd/3']:
    try:
        os.open('/proc/${pid}/' + name, os.O_RDONLY)
        said.append('open')
    except OSError as error:
        said.append(os.strerror(error.errno))
said.append('attached' if libc.ptrace(16, ${pid}, None, None) == 0 else os.strerror(ctypes.get_errno()))
print(','.join(sorted(set(said))))
`
  return execFileSync(PYTHON, ['-c', script], { uid, gid: uid, encoding: 'utf8' }).trim()
}

async function readyEngine(t: Cleanup, options: Partial<EngineOptions>): Promise<EngineClient> {
  const directory = temporaryDirectory(t)
  const stateFd =
    options.backend === 'linear' ? openSync(join(directory, 'linear'), 'w+') : openSync(directory, 'r')
  const spawner = new Spawner({ logFd: undefined, user: undefined, seccomp: 'none' })
  const engine = new EngineClient(spawner, {
    ...ENGINE_DEFAULTS,
    stateFd,
    ...options,
  })
  engine.once('exit', () => spawner.close())
  closeSync(stateFd)
  engine.start()
  await new Promise<void>((resolve, reject) => {
    engine.once('ready', resolve)
    engine.once('exit', (reason) => reject(new Error(reason)))
  })
  // Its number comes another way.
  await waitFor(() => engine.pid !== undefined, { what: 'its number' })
  return engine
}

const product = <T>(lists: readonly (readonly T[])[]): T[][] =>
  lists.reduce<T[][]>((sofar, list) => sofar.flatMap((one) => list.map((item) => [...one, item])), [[]])

/** The TPM answers, so it has given up what it does not need. */
async function answers(dataPath: string): Promise<void> {
  const data = await RawConnection.open(dataPath)
  data.write(TPM2.getRandom())
  assert.equal(responseCode(await data.readResponse()), 0)
  data.close()
}

/** One command that writes the state. */
async function use(dataPath: string): Promise<void> {
  const client = await TpmClient.open(dataPath)
  for (const command of [NV['2'].define, TPM2.nvWrite(numbered(1))]) await client.succeed(command)
  client.connection.close()
}

describe('the engine', () => {
  it('may use 32 system calls at most, whatever the options', { skip: cannotFetchFilters() }, async (t) => {
    const counts: number[] = []
    const flags = [false, true]
    for (const [linear, backup, journal, modeGiven, sync, trace] of product(new Array(6).fill(flags))) {
      // Neither has a journal.
      if (journal && (linear || backup)) continue
      const backend = linear ? 'linear' : 'dir'
      const options = { backend, backup, journal, modeGiven, sync, trace } as Partial<EngineOptions>
      const engine = await readyEngine(t, options)
      const filter = new SeccompFilter(engine.pid as number)
      const allowed: number[] = []
      for (let nr = 0; nr < SYSTEM_CALLS; nr++) {
        if (filter.verdicts({ nr }).has(ALLOW)) allowed.push(nr)
        for (const call of [{ nr: nr + X32 }, { nr, architecture: FOREIGN }])
          assert.ok(!filter.verdicts(call).has(ALLOW), `${call.nr} on the architecture ${call.architecture}`)
      }
      t.diagnostic(`${JSON.stringify(options)}: ${allowed.length} allowed: ${allowed.join(' ')}`)
      assert.ok(allowed.length <= MAX_ALLOWED, `${allowed.length} calls are allowed`)
      counts.push(allowed.length)
      await engine.close()
    }
    figure(
      'system calls that the engine may use, by its installed filter',
      `${Math.min(...counts)} to ${Math.max(...counts)} of ${SYSTEM_CALLS} numbers, over ${counts.length} combinations of options; none of another architecture`,
    )
  })

  it('may use them with harmless arguments only', {
    skip: cannotFetchFilters() || noCompiler(),
  }, async (t) => {
    const engine = await readyEngine(t, { modeGiven: true, backup: true })
    const filter = new SeccompFilter(engine.pid as number)
    const nr = numbersOf(
      ...([
        'mmap',
        'mprotect',
        'openat',
        'renameat',
        'linkat',
        'unlinkat',
        'ioctl',
        'fcntl',
        'tgkill',
        'newfstatat',
        'statx',
        'faccessat',
        'readlinkat',
      ] as const),
      ...([
        'execve',
        'clone',
        'clone3',
        'socket',
        'ptrace',
        'memfd_create',
        'pkey_mprotect',
        'kill',
      ] as const),
      ...(['prctl', 'setrlimit', 'prlimit64', 'sendmsg', 'io_uring_setup', 'shmat', 'mremap'] as const),
    )
    const AT_FDCWD = -100
    const allowed = (call: number, ...args: number[]): boolean => {
      const verdict = filter.verdict({ nr: call, args })
      assert.ok(verdict === ALLOW || verdict === KILL_PROCESS, verdict.toString(16))
      return verdict === ALLOW
    }
    for (let protection = 0; protection < 16; protection++)
      assert.equal(allowed(nr.mmap, 0, 4096, protection, 0x22, -1, 0), (protection & 4) === 0)
    for (const name of [
      'mprotect',
      'pkey_mprotect',
      'execve',
      'clone',
      'clone3',
      'socket',
      'ptrace',
    ] as const)
      assert.ok(!filter.verdicts({ nr: nr[name] }).has(ALLOW), name)
    for (const name of ['memfd_create', 'kill', 'prctl', 'setrlimit', 'prlimit64', 'shmat'] as const)
      assert.ok(!filter.verdicts({ nr: nr[name] }).has(ALLOW), name)
    assert.ok(!filter.verdicts({ nr: nr.io_uring_setup }).has(ALLOW))
    assert.ok(allowed(nr.sendmsg, 3) && !allowed(nr.sendmsg, 7))
    // With O_PATH Landlock is not asked.
    const O_PATH = 0o10000000
    assert.ok(allowed(nr.openat, 4, 0, 0) && !allowed(nr.openat, 4, 0, O_PATH))
    // No question about a path, not even from the C library's fstat().
    assert.deepEqual([...filter.verdicts({ nr: nr.newfstatat })], [FAIL | constants.errno.EPERM])
    for (const name of ['statx', 'faccessat', 'readlinkat'] as const)
      assert.ok(!filter.verdicts({ nr: nr[name] }).has(ALLOW), name)
    for (const name of ['openat', 'unlinkat'] as const) {
      assert.ok(allowed(nr[name], 4))
      for (const fd of [AT_FDCWD, 3, 5]) assert.ok(!allowed(nr[name], fd), name)
    }
    for (const name of ['renameat', 'linkat'] as const) {
      assert.ok(allowed(nr[name], 4, 0, 4))
      for (const fd of [AT_FDCWD, 3, 5])
        assert.ok(!allowed(nr[name], 4, 0, fd) && !allowed(nr[name], fd, 0, 4), name)
    }
    const TIOCSTI = 0x5412
    const TCGETS = 0x5401
    assert.ok(!allowed(nr.ioctl, 2, TIOCSTI) && !allowed(nr.ioctl, 2, TCGETS))
    for (const command of [0, 2, 6, 8, 1031]) assert.ok(!allowed(nr.fcntl, 3, command))
    assert.ok(allowed(nr.tgkill, engine.pid as number, 1, 10) && !allowed(nr.tgkill, process.pid, 1, 9))
    await engine.close()
  })

  it('has a filter that logs, or none, where the user wants that', {
    skip: cannotFetchFilters() || noCompiler(),
  }, async (t) => {
    const logging = await readyEngine(t, { seccomp: 'log' })
    const { getppid, write } = numbersOf('getppid', 'write')
    const filter = new SeccompFilter(logging.pid as number)
    assert.deepEqual([...filter.verdicts({ nr: getppid })], [LOG])
    assert.deepEqual([...filter.verdicts({ nr: write })], [ALLOW])
    await logging.close()
    const none = await readyEngine(t, { seccomp: 'none' })
    assert.deepEqual(status(none.pid as number, 'Seccomp'), ['0'])
    await none.close()
  })

  it('has no capabilities, no way to new ones, and little of everything', async (t) => {
    const { swtpm, dataPath } = await startSocketTpm(t)
    await use(dataPath)
    const engine = await enginePid(swtpm.pid)
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'])
      assert.deepEqual(status(engine, set), [NO_CAPABILITIES], set)
    if (!withoutRoot) assert.deepEqual(status(engine, 'CapBnd'), [NO_CAPABILITIES])
    assert.deepEqual(status(engine, 'NoNewPrivs'), ['1'])
    assert.deepEqual(status(engine, 'Seccomp'), ['2'])
    assert.deepEqual(limit(engine, 'Max core file size'), ['0', '0'])
    assert.deepEqual(limit(engine, 'Max open files'), ['32', '32'])
    assert.deepEqual(limit(engine, 'Max processes'), ['0', '0'])
    const space = String(256 << 20)
    assert.deepEqual(limit(engine, 'Max address space'), [space, space])
    // Standard streams, channel, state and listener, once the client has gone.
    await waitFor(() => readdirSync(`/proc/${engine}/fd`).length === 6, { what: 'no stray descriptors' })
    assert.equal(await swtpm.stop(), 0)
  })

  it('is out of reach of its own user', { skip: withoutRoot }, async (t) => {
    const directory = temporaryDirectory(t)
    chownSync(directory, OTHER_USER, OTHER_USER)
    const args = ['--tpm2', '--flags', 'startup-clear', '--runas', String(OTHER_USER)]
    const { swtpm, dataPath } = await startSocketTpm(t, args, { directory })
    await answers(dataPath)
    const engine = await enginePid(swtpm.pid)
    for (const pid of [swtpm.pid, engine]) {
      assert.deepEqual(status(pid, 'Uid'), [Array(4).fill(OTHER_USER).join('\t')])
      assert.deepEqual(status(pid, 'CapEff'), [NO_CAPABILITIES])
      assert.deepEqual(status(pid, 'CapPrm'), [NO_CAPABILITIES])
      assert.equal(statSync(`/proc/${pid}/environ`).uid, 0)
    }
    await waitFor(() => status(swtpm.pid, 'Seccomp').join() === '2', { what: 'the supervisor to serve' })
    for (const pid of [swtpm.pid, engine])
      assert.equal(reach(pid, OTHER_USER), 'Operation not permitted,Permission denied')
    await use(dataPath)
    assert.equal(await swtpm.stop(), 0)
  })

  it("started by root, becomes the owner of another user's state", { skip: withoutRoot }, async (t) => {
    const directory = temporaryDirectory(t)
    chownSync(directory, OTHER_USER, OTHER_USER)
    chmodSync(directory, 0o700)
    // The owner cannot keep it root by taking rights away from files of their own.
    for (const name of ['tpm-x', 'tpm-00.permall']) {
      writeFileSync(join(directory, name), '', { mode: 0 })
      chownSync(join(directory, name), OTHER_USER, OTHER_USER)
    }
    for (let start = 0; start < 2; start++) {
      const { swtpm, dataPath } = await startSocketTpm(t, undefined, { directory })
      await (start === 0 ? use(dataPath) : answers(dataPath))
      const engine = await enginePid(swtpm.pid)
      assert.deepEqual(status(engine, 'Uid'), [Array(4).fill(OTHER_USER).join('\t')])
      assert.deepEqual(status(engine, 'Gid'), [Array(4).fill(OTHER_USER).join('\t')])
      assert.deepEqual(status(engine, 'Groups'), [''])
      assert.deepEqual(status(engine, 'CapPrm'), [NO_CAPABILITIES])
      assert.equal(statSync(`/proc/${engine}/environ`).uid, 0)
      assert.equal(await swtpm.stop(), 0)
    }
    assert.equal(statSync(join(directory, 'tpm2-00.permall')).uid, OTHER_USER)
  })

  it('keeps one capability for state that belongs to several', { skip: withoutRoot }, async (t) => {
    const directory = temporaryDirectory(t)
    const first = await startSocketTpm(t, undefined, { directory })
    await use(first.dataPath)
    assert.equal(await first.swtpm.stop(), 0)
    chownSync(join(directory, 'tpm2-00.permall'), THIRD_USER, THIRD_USER)
    chmodSync(join(directory, 'tpm2-00.permall'), 0o600)
    chownSync(directory, OTHER_USER, OTHER_USER)
    chmodSync(directory, 0o700)
    const { swtpm, dataPath } = await startSocketTpm(t, undefined, { directory })
    const data = await RawConnection.open(dataPath)
    data.write(TPM2.nvRead())
    assert.equal(responseCode(await data.readResponse()), 0)
    data.close()
    const CAP_DAC_OVERRIDE = '0000000000000002'
    assert.deepEqual(status(await enginePid(swtpm.pid), 'CapEff'), [CAP_DAC_OVERRIDE])
    assert.equal(await swtpm.stop(), 0)
  })

  it('has the key on locked pages, and nowhere else', { skip: withoutRoot }, async (t) => {
    const directory = temporaryDirectory(t)
    const key = randomBytes(32)
    const path = join(directory, 'key')
    writeFileSync(path, key)
    const args = [
      '--tpm2',
      '--flags',
      'startup-clear',
      '--key',
      `file=${path},format=binary,mode=aes-256-cbc`,
    ]
    const { swtpm, dataPath } = await startSocketTpm(t, args, { directory })
    await use(dataPath)
    const found = findInMemory(await enginePid(swtpm.pid), key)
    t.diagnostic(`in the engine: ${found.map(({ flags }) => flags).join(' | ')}`)
    // Where it is used, and where the next engine would find it.
    assert.equal(found.length, 2)
    for (const { flags } of found)
      for (const flag of ['lo', 'dd']) assert.ok(flags.split(' ').includes(flag), flags)
    assert.equal(findInMemory(swtpm.pid, key).length, 0)
    figure(
      'copies of the state key in memory',
      'engine: 2, on pages that are locked and not dumped; supervisor: 0',
    )
    assert.equal(await swtpm.stop(), 0)
  })
})

/** Where a process has `needle`, with the VmFlags of that mapping. @see proc(5) smaps */
function findInMemory(pid: number, needle: Buffer): { address: number; flags: string }[] {
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  const found: { address: number; flags: string }[] = []
  const smaps = readFileSync(`/proc/${pid}/smaps`, 'utf8')
  for (const [, from, to, rest] of smaps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw.*\n((?:[A-Z].*\n)*)/gm)) {
    const flags = /^VmFlags: (.*)$/m.exec(rest as string)?.[1]?.trim() ?? ''
    if (/^Rss:\s+0 kB/m.test(rest as string)) continue
    const start = Number.parseInt(from as string, 16)
    const bytes = Buffer.alloc(Number.parseInt(to as string, 16) - start)
    // Pages that were never touched cannot be read, or are zero.
    for (let at = 0; at < bytes.length; at += 4096) {
      try {
        readSync(memory, bytes, at, Math.min(4096, bytes.length - at), start + at)
      } catch {
        // A guard page.
      }
    }
    for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + 1))
      found.push({ address: start + at, flags })
  }
  closeSync(memory)
  return found
}

describe('the supervisor', () => {
  it('started by root, keeps what removing its files takes', { skip: withoutRoot }, async (t) => {
    const { swtpm, directory } = await startSocketTpm(t)
    await waitFor(() => status(swtpm.pid, 'Seccomp').join() === '2', { what: 'the filter' })
    // The keeper: CAP_DAC_OVERRIDE, CAP_FOWNER; for engines that become the owner of the state CAP_KILL, CAP_SETUID, CAP_SETGID, and
    // CAP_SYS_CHROOT for those that have it as their root.
    for (const set of ['CapPrm', 'CapEff', 'CapBnd'])
      assert.deepEqual(status(swtpm.pid, set), ['00000000000400ea'])
    for (const set of ['CapInh', 'CapAmb']) assert.deepEqual(status(swtpm.pid, set), [NO_CAPABILITIES])
    assert.deepEqual(status(swtpm.pid, 'NoNewPrivs'), ['1'])
    assert.deepEqual(limit(swtpm.pid, 'Max core file size'), ['0', '0'])
    chownSync(directory, OTHER_USER, OTHER_USER)
    chmodSync(directory, 0o700)
    assert.equal(await swtpm.stop(), 0)
    assert.ok(!existsSync(join(directory, 'data')) && !existsSync(join(directory, 'control')))
  })
})
