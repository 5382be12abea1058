/**
 * The native addon (native/addon): what JavaScript cannot do itself. Finds and loads it, types it, and turns its
 * results into errors.
 *
 * Every function returns a value that is not negative, or a negative errno; none throws. They run on the calling
 * thread and do not wait, except for sends and receives on descriptors that are in blocking mode.
 */
import { installedFile } from './paths.ts'
import { describeErrno } from './reason.ts'

export interface Native {
  // ---- descriptors: addon/unix_fds.cc

  /**
   * A connected SOCK_STREAM pair, both ends close-on-exec; the first non-blocking for us, the second blocking for a
   * child, which gets it through `stdio` of spawn().
   * @see socketpair(2)
   */
  socketPair(): [ours: number, theirs: number] | number
  /**
   * Sends `length` bytes from `offset`, with `fds` (at most 4) on the first byte. They are still the caller's
   * afterwards, and have gone if the result is positive.
   * @returns bytes sent, possibly fewer than `length`; -EAGAIN when the socket is full; -EPIPE when the peer has gone
   * (there is no SIGPIPE); -EINVAL for no bytes; -E2BIG for too many descriptors
   * @see sendmsg(2), unix(7) SCM_RIGHTS
   */
  sendMessage(fd: number, bytes: Uint8Array, offset: number, length: number, fds: readonly number[]): number
  /**
   * Receives up to `length` bytes at `offset`; sockets only. Descriptors that come along are appended to
   * `receivedFds`, close-on-exec and the caller's to close, also when the bytes make no sense. They are those of one
   * message at most, and nothing sent after it is in the same call, but bytes sent before it may be: hand descriptors
   * to the frames that want one in the order they came. Those beyond four, and those for which this process has no
   * free number, are closed and missing.
   * @returns bytes received, 0 at end of file; -EAGAIN when there is nothing; -ENOTSOCK
   * @see recvmsg(2)
   */
  receiveMessage(fd: number, bytes: Uint8Array, offset: number, length: number, receivedFds: number[]): number
  /**
   * Another number (3 or more, close-on-exec) for the same open file description.
   * @see fcntl(2) F_DUPFD_CLOEXEC
   */
  duplicate(fd: number): number
  /**
   * Makes `target`, which is closed first if it is open, another number for `fd`'s open file description. Inheritable.
   * @returns `target`
   * @see dup2(2)
   */
  replace(target: number, fd: number): number
  /** Concerns this number only, not its duplicates. @see fcntl(2) F_SETFD */
  setCloseOnExec(fd: number, on: boolean): number
  /** @returns 1, 0 or -errno */
  isCloseOnExec(fd: number): number
  /**
   * Concerns the open file description: all duplicates, also in other processes, see it.
   * @see fcntl(2) F_SETFL
   */
  setNonBlocking(fd: number, on: boolean): number
  /** @returns 1, 0 or -errno */
  isNonBlocking(fd: number): number

  /**
   * Memory of a fixed size without a name, to be mapped by whoever is given the descriptor, which is close-on-exec.
   * @see memfd_create(2)
   */
  sharedMemory(bytes: number): number

  // ---- sockets: addon/sockets.cc

  /**
   * Binds and listens. The file never has more permissions than `mode` (-1: what the umask leaves) and has exactly
   * those before anybody can connect.
   * @returns a close-on-exec, non-blocking descriptor; -EADDRINUSE if `path` exists, whatever it is; -ENAMETOOLONG
   * from 108 bytes on. No file is left behind on failure
   * @see unix(7)
   */
  listenUnix(path: string, mode: number, backlog: number): number
  /**
   * Connects a datagram socket, to be written with {@link sendMessage}.
   * @param name path of a Unix socket, or '@' and its abstract name
   * @returns a close-on-exec, non-blocking descriptor; -ENOENT, -ECONNREFUSED; -ENAMETOOLONG from 108 bytes on
   * @see unix(7)
   */
  connectDatagram(name: string): number
  /**
   * @param address numeric IPv4 or IPv6 address
   * @param port 0: the kernel chooses, see {@link localPort}
   * @param interfaceName scope of an IPv6 link-local address, or ''
   * @returns a close-on-exec, non-blocking descriptor; -EINVAL for what is no numeric address; -ENODEV for no such
   * interface; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES
   * @see ip(7), ipv6(7)
   */
  listenTcp(address: string, port: number, interfaceName: string, backlog: number): number
  /**
   * @returns the next connection, close-on-exec; -EAGAIN if nobody waits and `fd` is non-blocking
   * @see accept4(2)
   */
  accept(fd: number, nonBlocking: boolean): number
  /** @returns the bound TCP port; -EAFNOSUPPORT for a Unix socket. @see getsockname(2) */
  localPort(fd: number): number
  /**
   * @param how 0 receiving, 1 sending, 2 both. The peer reads end of file even if other processes hold the socket
   * @see shutdown(2)
   */
  shutdownSocket(fd: number, how: 0 | 1 | 2): number
  /**
   * Address family (AF_*), type (SOCK_*) and 1 if it listens; {@link describeSocket} has words for them.
   * @returns -ENOTSOCK for another kind of file
   * @see socket(7)
   */
  socketKind(fd: number): [family: number, type: number, listening: number] | number

  // ---- locks: addon/file_lock.cc

  /**
   * Takes the POSIX write lock on the whole file, the kind the C swtpm takes, and never waits.
   *
   * The lock belongs to process and file: closing any other descriptor of this file, anywhere in this process, drops
   * it. Open the lock file once and do not read it by name.
   * @returns 0; -EAGAIN if another process has it; -EBADF if `fd` is not open for writing
   * @see fcntl(2) F_SETLK
   */
  lockFile(fd: number): number
  unlockFile(fd: number): number
  /**
   * Who is in the way of {@link lockFile}.
   * @returns the process id; 0 for nobody, or for this very process; -ESRCH if the holder has no id here (another pid
   * namespace, or a lock of another kind)
   * @see fcntl(2) F_GETLK
   */
  lockHolder(fd: number): number
  /**
   * Locks the open file description, directories too: a process that inherits the descriptor holds the lock with us,
   * and after us. Independent of {@link lockFile}, except on network file systems. Never waits.
   * @returns 0; -EAGAIN if the file was opened and locked by somebody else
   * @see flock(2)
   */
  lockDescription(fd: number): number
  /** For all who hold it. */
  unlockDescription(fd: number): number

  // ---- privileges: addon/process.cc. "Process": concerns all threads. "Thread": the calling one and the children it
  // spawns; call these on the main thread, early.

  /**
   * Looks a user up; a decimal number stands for that uid and, as in the C swtpm, the same gid. May wait for a
   * directory service. Call it before {@link chroot}.
   * @returns the ids, and all group ids of the user for {@link switchUser}; -ENOENT for no such user; -ERANGE for a
   * number that is no id
   * @see getpwnam(3), getgrouplist(3)
   */
  userByName(name: string): [uid: number, gid: number, groups: number[]] | number
  /** @returns the group id, decimal numbers standing for themselves; -ENOENT, -ERANGE as above. @see getgrnam(3) */
  groupByName(name: string): number
  /**
   * Process, for good: real, effective and saved ids; from root to another user the capabilities go as well. The
   * process becomes undumpable and loses its parent-death signal. After an error it may be half changed: end it.
   * @returns 0; -EPERM; -EINVAL for ids out of range
   * @see setgroups(2), setresgid(2), setresuid(2)
   */
  switchUser(uid: number, gid: number, groups: readonly number[]): number
  /**
   * Process: makes `path` the root and the working directory. Open descriptors stay as they are.
   * @returns 0; -EPERM (the working directory has changed already), -ENOENT, -ENOTDIR
   * @see chroot(2)
   */
  chroot(path: string): number
  /**
   * Process, all threads, for good: empties the effective, permitted, inheritable and ambient sets but for `keep`, and
   * the bounding set if allowed. Call it while /proc is there.
   * @param keep numbers of capabilities
   * @returns 0; 1 if the bounding set had to stay, so that {@link setNoNewPrivileges} is called for; -ENOENT without
   * /proc and -ETIMEDOUT: of this thread only
   * @see capabilities(7)
   */
  dropCapabilities(keep: readonly number[]): number
  /** Thread, for good: set-uid and set-capability programs give nothing. @see prctl(2) PR_SET_NO_NEW_PRIVS */
  setNoNewPrivileges(): number
  /**
   * Process: `false` means no core dump and no /proc/PID/mem or debugger for others of the same user. Children start
   * dumpable again.
   * @see prctl(2) PR_SET_DUMPABLE
   */
  setDumpable(on: boolean): number
  /** Process and children, for good: no core files. Cores piped to a program go on. @see setrlimit(2), core(5) */
  disableCoreDumps(): number
  /**
   * Process: get `signal` (0: none) when the thread that spawned this process ends; not if it already has: compare
   * process.ppid afterwards.
   * @see prctl(2) PR_SET_PDEATHSIG
   */
  setParentDeathSignal(signal: number): number

  // ---- system calls: addon/syscall_filter.cc

  /**
   * Process, all threads, for good: no new processes, other users, roots or mounts, no reach into other processes or
   * the kernel; and {@link setNoNewPrivileges}. Threads can still be started, files and sockets opened.
   * @param kill true: a forbidden call ends the process by SIGSYS; false: the kernel logs it and lets it pass
   * @returns 0; -ESRCH if a thread has a filter of its own; -EINVAL where the kernel has no seccomp
   * @see seccomp(2)
   */
  forbidSystemCalls(kill: boolean): number

  // ---- keys in memory: addon/memory.cc

  /** Overwrites with zeros. Copies elsewhere, above all strings made from `bytes`, stay. @see explicit_bzero(3) */
  wipe(bytes: Uint8Array): number
  /**
   * Keeps the pages of `bytes` out of swap and core dumps. Best effort: whole pages, with what else lies there, and for
   * as long as the process lives. Use Buffer.allocUnsafeSlow(), which shares no pool, and call it before the key is
   * written into it.
   * @returns 0; -ENOMEM or -EPERM beyond RLIMIT_MEMLOCK (the pages are still kept out of dumps)
   * @see mlock(2), madvise(2) MADV_DONTDUMP
   */
  lockPages(bytes: Uint8Array): number

  // ---- readiness: addon/poller.cc

  readonly Poller: new (
    fd: number,
    callback: PollCallback,
  ) => Poller
}

/**
 * @param error 0, or -EBADF when the descriptor is not open: the poller has stopped then
 * @param hangup the peer has closed or the connection has failed. Bytes may still be waiting; the next read or write
 * tells the errno. Reported again and again until stop() or close()
 */
export type PollCallback = (error: number, readable: boolean, writable: boolean, hangup: boolean) => void

/** For {@link Poller.start}. Without `HANGUP`, only a failed connection is reported as `hangup`. */
export const READABLE = 1
export const WRITABLE = 2
export const HANGUP = 4

/**
 * Level-triggered readiness of one descriptor, on this thread's event loop. It changes neither the descriptor nor its
 * blocking mode. Close the poller before the descriptor. One poller per descriptor and thread.
 *
 * It keeps itself (while started) and its callback (until close()) from being collected.
 */
export interface Poller {
  /**
   * @param mask of READABLE, WRITABLE, HANGUP; replaces the one before
   * @returns 0; -EPERM for what cannot be polled, such as a regular file; -EEXIST if another poller of this thread has
   * the descriptor; -EBADF if it is not open, or after close()
   * @see epoll(7)
   */
  start(mask: number): number
  /** No callback comes after it until the next start(). */
  stop(): number
  /** No callback comes after it, and the descriptor may be closed. Harmless when repeated. */
  close(): number
  /** While started, keep the process alive; this is how it begins. */
  ref(): number
  unref(): number
}

/** A native function's errno as Node's own errors show it: `code: 'EADDRINUSE'`, `errno: -98`, `syscall`. */
export class SystemError extends Error implements NodeJS.ErrnoException {
  readonly code: string
  readonly errno: number
  readonly syscall: string

  constructor(errno: number, action: string) {
    const { code, text } = describeErrno(errno)
    super(`Cannot ${action}: ${text}`)
    this.name = 'SystemError'
    this.code = code
    this.errno = errno
    this.syscall = action.split(' ', 1)[0] ?? ''
  }
}

/**
 * Passes a native result on unless it is an errno.
 * @param action what was tried, beginning with a verb: `listen on "/run/x"`. The verb becomes the error's `syscall`
 * @throws SystemError `Cannot listen on "/run/x": address already in use`
 */
export function check(result: number, action: string): number
export function check<T extends readonly unknown[]>(result: T | number, action: string): T
export function check<T>(result: T | number, action: string): T | number {
  if (typeof result === 'number' && result < 0) throw new SystemError(result, action)
  return result
}

export interface SocketDescription {
  readonly family: 'unix' | 'inet' | 'inet6' | 'other'
  readonly type: 'stream' | 'datagram' | 'seqpacket' | 'other'
  readonly listening: boolean
}

/** What a descriptor that the user handed in is; undefined if it is no socket, or not open. */
export function describeSocket(fd: number): SocketDescription | undefined {
  const kind = native.socketKind(fd)
  if (typeof kind === 'number') return undefined
  const [family, type, listening] = kind
  return {
    family: FAMILIES.get(family) ?? 'other',
    type: TYPES.get(type) ?? 'other',
    listening: listening === 1,
  }
}

// Linux's AF_* and SOCK_* numbers, the same on every architecture Node runs on but MIPS.
const FAMILIES = new Map<number, SocketDescription['family']>([
  [1, 'unix'],
  [2, 'inet'],
  [10, 'inet6'],
])
const TYPES = new Map<number, SocketDescription['type']>([
  [1, 'stream'],
  [2, 'datagram'],
  [5, 'seqpacket'],
])

/**
 * Where the addon lies: what the environment variable SWTPM_NATIVE names, or native/build/Release/swtpm_native.node in
 * the nearest folder above the running script.
 * @throws Error naming the places tried and the command that builds it
 */
export function nativeAddonPath(): string {
  const chosen = process.env.SWTPM_NATIVE
  if (chosen !== undefined && chosen !== '') return chosen
  return installedFile('native/build/Release/swtpm_native.node', 'npm run build:native')
}

function load(): Native {
  const path = nativeAddonPath()
  try {
    return require(path) as Native
  } catch (error) {
    const reason = (error as Error).message.split('\n', 1)[0]
    throw new Error(`Cannot load "${path}": ${reason}; run \`npm run build:native\``, { cause: error })
  }
}

/** The addon, loaded once per thread. */
export const native: Native = load()
