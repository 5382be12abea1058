/** Starts programs of which one call of the C library fails (failing-calls.c), and judges what they say and leave behind. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { constants } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { describeErrno } from '../../../src/system/reason.ts'
import { bin, projectRoot } from '../../support/swtpm.ts'
import { waitFor } from '../../support/wait.ts'
import { preloadLibrary } from './preload.ts'

/** A way to start a program. */
export interface StartLine {
  readonly title: string
  readonly program: string
  args(directory: string): readonly string[]
  /** Makes what has to be there. */
  prepare?(directory: string): void
  readonly env?: NodeJS.ProcessEnv
  /** How it ends: by itself, by SHUTDOWN on the control channel, or by SIGTERM once its pid file is there. */
  readonly ends?: 'SHUTDOWN' | 'SIGTERM'
  /** The program has a connection as descriptor 3. */
  readonly connection?: true
  /** The log file asked for, in the directory. */
  readonly log?: string
  /** Lines of one name share the code that they run: the short form has each of their call sites once. */
  readonly code?: string
  /** How many call sites the short form takes of one that takes long, or that has most of them in common with others. */
  readonly sample?: number
  /** What may be left in the directory, besides what has been prepared. */
  readonly leaves: RegExp
}

/** One call that a program makes. */
export interface Call {
  readonly name: string
  /** Counted from 1, for each name. */
  readonly count: number
  readonly path: string
}

type ErrnoName = keyof typeof constants.errno

/** What can fail how, as the manual pages of the calls have it. */
const ERRNOS: Readonly<Record<string, readonly ErrnoName[]>> = {
  access: ['EACCES', 'ENOENT', 'ENOTDIR', 'ELOOP'],
  bind: ['EACCES', 'ENOENT', 'ENOTDIR', 'ELOOP', 'EROFS', 'ENOSPC'],
  chmod: ['EACCES', 'EROFS'],
  chown: ['EPERM', 'EROFS'],
  chroot: ['EACCES', 'ENOENT', 'ENOTDIR'],
  connect: ['EACCES', 'ENOENT', 'ENOTDIR'],
  duplicate: ['EMFILE'],
  fchmod: ['EPERM', 'EROFS'],
  flock: ['ENOLCK'],
  fork: ['EAGAIN', 'ENOMEM'],
  fsync: ['ENOSPC', 'EIO'],
  ftruncate: ['EACCES', 'EROFS', 'ENOSPC'],
  getcwd: ['ENOENT', 'EACCES'],
  ioctl: ['EPERM', 'ENODEV', 'ENOMEM'],
  listen: ['EADDRINUSE'],
  lock: ['ENOLCK', 'EACCES'],
  memfd: ['EMFILE'],
  mkdir: ['EACCES', 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EROFS', 'ENOSPC'],
  mkdtemp: ['EACCES', 'ENOENT', 'ENOTDIR', 'EROFS', 'ENOSPC'],
  open: ['EACCES', 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EROFS', 'ENOSPC', 'EMFILE'],
  pipe: ['EMFILE'],
  prctl: ['EINVAL'],
  readlink: ['EACCES', 'ENOENT'],
  rename: ['EACCES', 'EROFS', 'ENOSPC'],
  rmdir: ['EACCES', 'EROFS'],
  scandir: ['EACCES', 'ENOENT', 'EMFILE'],
  seccomp: ['EINVAL', 'ENOMEM'],
  setgroups: ['EPERM'],
  setresgid: ['EPERM'],
  setresuid: ['EPERM', 'EAGAIN'],
  socket: ['EMFILE', 'EACCES'],
  socketpair: ['EMFILE'],
  stat: ['EACCES', 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG'],
  statfs: ['EACCES'],
  unlink: ['EACCES', 'EROFS'],
  write: ['ENOSPC', 'EIO'],
  // ENODEV is how the kernel hangs up.
  'write-to-device': ['EINVAL', 'ENOMEM'],
}

export const errnosOf = (call: Call): readonly ErrnoName[] => ERRNOS[call.name] ?? []

interface Outcome {
  readonly status: number | NodeJS.Signals
  readonly stderr: string
  /** It served, and ended when it was told to. */
  readonly served: boolean
}

/** Runs `line` in a directory of its own, to its end. */
async function start(line: StartLine, directory: string, injection: NodeJS.ProcessEnv): Promise<Outcome> {
  mkdirSync(join(directory, 'tmp'), { recursive: true })
  line.prepare?.(directory)
  const child = spawn(bin(line.program), line.args(directory), {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe', ...(line.connection ? (['pipe'] as const) : [])],
    env: {
      ...process.env,
      ...{ TMPDIR: join(directory, 'tmp'), LD_PRELOAD: preloadLibrary('failing-calls.c') },
      ...{ FAILING_PROGRAM: line.program, ...line.env, ...injection },
    },
  })
  let stderr = ''
  child.stderr?.on('data', (chunk) => {
    stderr += chunk
  })
  const ended = once(child, 'close')
  const served =
    (line.ends === 'SHUTDOWN' && (await shutDown(join(directory, 'control'), child))) ||
    (line.ends === 'SIGTERM' && (await terminate(join(directory, 'pid'), child)))
  const [code, signal] = await ended
  return { status: code ?? signal, stderr, served }
}

/** Tells a TPM to end as soon as it can be told. @returns whether it obeyed; false when the program has ended by itself */
async function shutDown(control: string, child: ChildProcess): Promise<boolean> {
  let obeyed = false
  await waitFor(
    async () => {
      obeyed = await sendShutdown(control)
      // 0 is also how the first process ends when a copy of it serves in the background.
      return obeyed || child.exitCode || child.signalCode !== null
    },
    { what: 'the TPM to serve or to end' },
  )
  return obeyed
}

/** @returns whether it served, and was told to end */
async function terminate(pidFile: string, child: ChildProcess): Promise<boolean> {
  const ready = (): boolean => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== ''
  await waitFor(() => ready() || child.exitCode !== null, { what: 'the fleet to serve or to end' })
  return child.exitCode === null && child.kill('SIGTERM')
}

const SHUTDOWN = Buffer.from([0, 0, 0, 3])

function sendShutdown(control: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(control)
    socket.on('error', () => resolve(false))
    socket.on('connect', () => socket.write(SHUTDOWN))
    socket.on('data', (answer) => resolve(answer.equals(Buffer.alloc(4))))
    socket.on('close', () => resolve(false))
  })
}

/** The calls that `line` makes when nothing fails. */
export async function callsOf(line: StartLine, directory: string): Promise<Call[]> {
  const record = `${directory}.record`
  const { status, stderr } = await start(line, directory, { FAILING_RECORD: record })
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, line.title)
  const calls = readFileSync(record, 'utf8')
    .trimEnd()
    .split('\n')
    .map((text): Call => {
      const [name = '', count, path = ''] = text.split('\t')
      return { name, count: Number(count), path }
    })
  rmSync(record)
  rmSync(directory, { recursive: true })
  return calls
}

/**
 * What Node says of a package whose main file it may not look at, before it looks for `index.js` by itself: the program goes on.
 */
const NODE_WARNING = /^\(node:\d+\) \[DEP0128\] .*\n\(Use `node --trace-deprecation .*\n/m

/** Lets one call fail, and checks everything. @returns standard error @throws AssertionError */
export async function checkFailure(
  line: StartLine,
  call: Call,
  errno: ErrnoName,
  directory: string,
): Promise<string> {
  const what = `${line.title}: call ${call.count} of ${call.name}(${call.path}) fails with ${errno}`
  const number = constants.errno[errno]
  const outcome = await start(line, directory, { FAILING_CALL: `${call.name} ${call.count} ${number}` })
  const { status, served } = outcome
  const stderr = outcome.stderr.replace(NODE_WARNING, '')
  const said = `${what}\nexit ${status}, standard error:\n${stderr}`
  assert.doesNotMatch(stderr, /^\s+at |internal error/im, said)
  assert.doesNotMatch(stderr, /\bE[A-Z]{3,}: /, said)
  // A pid file is there before the last steps of the start: a change of user, the sandbox.
  const did = line.ends === 'SHUTDOWN' ? served : status === 0 && (served || line.ends === undefined)
  assert(did ? status === 0 : typeof status === 'number' && status !== 0, said)
  // One that did what it was asked for may have something to say all the same.
  if (!did || stderr !== '') {
    checkReason(call, errno, stderr, said)
    if (line.log !== undefined) checkLog(join(directory, line.log), call, stderr, said)
  }
  await waitFor(() => users(directory).length === 0, { what: `${what}: every process to end` })
  const left = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(
    (name) => !line.leaves.test(name) && !(call.name === 'unlink' && call.path.endsWith(`/${name}`)),
  )
  assert.deepEqual(left, [], `${said}\nleft behind`)
  rmSync(directory, { recursive: true })
  return stderr
}

/** What stands for an errno where a text of its own says more. */
const OTHER_WORDS: readonly RegExp[] = [
  // A file of the installation that cannot be looked at is not found, or not loaded.
  /Cannot (find|load) /,
  /held by /,
  /there is no such file; has swtpm been started/,
  /file system has no locks/,
  // One call among several that look whether something is there.
  /is missing;|is not complete|directory not empty/,
  /must not be a symbolic link|it is a symbolic link/,
  // A file that was there, but for the call that looked, is not replaced.
  /file already exists/,
]

function checkReason({ name, path }: Call, errno: ErrnoName, stderr: string, said: string): void {
  if (OTHER_WORDS.some((words) => words.test(stderr))) return
  const { text } = describeErrno(-constants.errno[errno])
  assert(stderr.includes(text), `${said}\nit does not say "${text}"`)
  // The file or a folder that it is in. A copy of a descriptor is named by what it is for.
  const names =
    name !== 'duplicate' && /^\/(?!proc\/|memfd:)/.test(path) ? [basename(path), ...ancestors(path)] : []
  assert(
    names.length === 0 || names.some((part) => stderr.includes(part)),
    `${said}\nit does not name "${path}"`,
  )
}

/** Down to the directory of the run, which is as deep as the root directory of a jail can be. */
function ancestors(path: string): string[] {
  const folder = dirname(path)
  return folder === path || /\/\d+$/.test(path) ? [] : [folder, ...ancestors(folder)]
}

/** The log has what standard error has, but for what was the matter with the log itself, or with the code that reads which it is. */
function checkLog(log: string, call: Call, stderr: string, said: string): void {
  if (call.path === log || /\/swtpm\.later\.\w+\.js$/.test(call.path)) return
  const lines = existsSync(log) ? readFileSync(log, 'utf8').split('\n') : []
  for (const line of stderr.split('\n').filter(Boolean)) {
    assert(lines.includes(line.replace(/^swtpm: /, '')), `${said}\nthe log lacks it: ${lines.join('\n')}`)
  }
  for (const cause of lines.filter((line) => /^(Cannot|Could not) /.test(line)))
    assert.equal(lines.filter((line) => line.includes(cause)).length, 1, `${said}\nmore than once: ${cause}`)
}

/** Processes that have something open in `directory`, or were started there. */
function users(directory: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && uses(pid, directory))
}

function uses(pid: number, directory: string): boolean {
  const leads = (link: string): boolean => {
    try {
      return readlinkSync(`/proc/${pid}/${link}`).startsWith(`${directory}/`)
    } catch {
      return false
    }
  }
  try {
    return leads('cwd') || readdirSync(`/proc/${pid}/fd`).some((fd) => leads(`fd/${fd}`))
  } catch {
    return false
  }
}

/** The same call site in every start: what differs are the directory and random names. */
export const siteOf = (line: StartLine, { name, path }: Call, directory: string): string =>
  [
    line.code ?? line.title,
    name,
    path
      .replace(directory, '@')
      .replace(projectRoot, '')
      // What Node looks for to load a package, or the addon.
      .replace(/^.*\/node_modules\b.*|^\/native\b.*(?<!engine)$/, 'a module')
      .replace(/\[\d+\]|\/fd\/\d+|[0-9a-f]{12}|\.\w{6}$/g, '#'),
  ].join(' ')
