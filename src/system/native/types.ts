/**
 * The functions of the native addon (native/addon). They are documented here, and only here.
 *
 * Every function returns a value that is not negative, or a negative errno; none throws. They run on the calling
 * thread and do not wait, except that sends and receives wait on descriptors in blocking mode.
 */

export interface Native {
  // ---- descriptors: addon/unix_fds.cc

  /**
   * A connected SOCK_STREAM pair, both ends close-on-exec: the first non-blocking, for this process's event loop; the
   * second blocking, for a child process.
   * @see socketpair(2)
   */
  socketPair(): [ours: number, theirs: number] | number
  /**
   * Sends `length` bytes from `offset`, with `fds` (at most 12) on the first byte. If the result is positive, the
   * descriptors have been sent. The caller still owns its own and closes them.
   * @returns bytes sent, possibly fewer than `length`; -EAGAIN when the socket is full; -EPIPE, never SIGPIPE,
   * when the peer has closed; -EINVAL for no bytes; -E2BIG for too many descriptors
   * @see sendmsg(2), unix(7) SCM_RIGHTS
   */
  sendMessage(fd: number, bytes: Uint8Array, offset: number, length: number, fds: readonly number[]): number
  /**
   * Receives up to `length` bytes at `offset`; sockets only. Descriptors are appended to `receivedFds`, close-on-exec.
   * The caller owns them and closes them, also when it rejects the bytes.
   *
   * One call returns the descriptors of one message at most. Bytes that were sent before that message may be in the
   * same call, bytes sent after it are not: so give descriptors to the frames that need one in the order of arrival.
   * Descriptors beyond twelve, and those for which this process has no free number, are closed and missing.
   * @returns bytes received, 0 at end of file; -EAGAIN when there is nothing to read; -ENOTSOCK
   * @see recvmsg(2)
   */
  receiveMessage(fd: number, bytes: Uint8Array, offset: number, length: number, receivedFds: number[]): number
  /**
   * Another number (3 or more, close-on-exec) for the same open file description.
   * @see fcntl(2) F_DUPFD_CLOEXEC
   */
  duplicate(fd: number): number
  /**
   * Makes `target` another number, inheritable, for the open file description of `fd`. If `target` is open, it is
   * closed first.
   * @returns `target`
   * @see dup2(2)
   */
  replace(target: number, fd: number): number
  /** Concerns this number only, not its duplicates. @see fcntl(2) F_SETFD */
  setCloseOnExec(fd: number, on: boolean): number
  /**
   * Concerns the open file description: all duplicates, also in other processes, see it.
   * @see fcntl(2) F_SETFL
   */
  setNonBlocking(fd: number, on: boolean): number

  // ---- devices: addon/devices.cc

  /**
   * The numbers of the character device `name` in the directory `directoryFd`; links are not followed.
   * @returns -ENOENT; -ENODEV for a file of another kind
   * @see fstatat(2)
   */
  deviceNumbers(directoryFd: number, name: string): [major: number, minor: number] | number
  /**
   * Whether the other side of a device or connection has gone for good. Nothing is read.
   * @returns 1 or 0
   * @see poll(2) POLLERR, POLLHUP
   */
  isHungUp(fd: number): number
  /**
   * Blocks until the driver has answered. src/system/io/ioctl.ts is what calls it.
   * @param argument as long as the request number says; read and written in place
   * @see ioctl(2)
   */
  ioctl(fd: number, request: number, argument: Uint8Array): number

  // ---- memory: addon/memory.cc

  /**
   * Memory of a fixed size, without a name. Every process that is given the descriptor can map it.
   * @returns a close-on-exec descriptor
   * @see memfd_create(2)
   */
  sharedMemory(bytes: number): number

  // ---- sockets: addon/sockets.cc

  /**
   * Binds and listens. The socket file has the permissions of `mode` from its first moment on, and its owner before clients
   * can connect. `mode` -1 leaves the permissions to the umask. Needs no /proc.
   * @param uid owner of the file; -1: this process's
   * @param gid its group; -1: this process's
   * @returns a close-on-exec, non-blocking descriptor; -EADDRINUSE if `path` exists, whatever it is; -ENAMETOOLONG
   * from 108 bytes on; -EPERM if the owner may not be changed. No file is left behind on failure
   * @see unix(7)
   */
  listenUnix(path: string, mode: number, backlog: number, uid?: number, gid?: number): number
  /**
   * Connects a stream socket to the one at `path`.
   * @returns a close-on-exec, non-blocking descriptor; -EAGAIN when the server's queue of connections is full; -ENOENT,
   * -ECONNREFUSED, -EACCES; -EPROTOTYPE for a socket of another kind; -ENAMETOOLONG from 108 bytes on
   * @see unix(7)
   */
  connectUnix(path: string): number
  /**
   * Connects a datagram socket, to be written with {@link sendMessage}.
   * @param name path of a Unix socket, or '@' and its abstract name
   * @returns a close-on-exec, non-blocking descriptor; -ENOENT, -ECONNREFUSED; -ENAMETOOLONG from 108 bytes on
   * @see unix(7)
   */
  connectDatagram(name: string): number
  /**
   * Binds and listens. An IPv6 wildcard accepts IPv4 clients as well.
   * @param address numeric IPv4 or IPv6 address
   * @param port 0: the kernel chooses
   * @param interfaceName scope of an IPv6 link-local address, or ''
   * @returns a close-on-exec, non-blocking descriptor; -EINVAL for what is no numeric address; -ENODEV for no such
   * interface; -EADDRINUSE, -EADDRNOTAVAIL, -EACCES
   * @see ip(7), ipv6(7)
   */
  listenTcp(address: string, port: number, interfaceName: string, backlog: number): number
  /**
   * Connections that the client has closed already are skipped.
   * @returns the next connection, close-on-exec; -EAGAIN if no client waits and `fd` is non-blocking
   * @see accept4(2)
   */
  accept(fd: number, nonBlocking: boolean): number

  // ---- locks: addon/file_lock.cc

  /**
   * Takes the POSIX write lock on the whole file, the kind the C swtpm takes, and never waits.
   *
   * The lock belongs to the process and the file, not to the descriptor: closing any descriptor of this file, anywhere
   * in this process, drops it. So open the lock file once, and never read it by name. Children do not inherit it.
   * @returns 0; -EAGAIN if another process has it; -EBADF if `fd` is not open for writing
   * @see fcntl(2) F_SETLK
   */
  lockFile(fd: number): number
  /** No error if the file was not locked. */
  unlockFile(fd: number): number
  /**
   * Which process prevents {@link lockFile}.
   * @returns the process id; 0 if the file is not locked, or by this process; -ESRCH if the holder has no id here
   * (another pid namespace, or a lock of another kind)
   * @see fcntl(2) F_GETLK
   */
  lockHolder(fd: number): number
  /**
   * Locks the open file description, of directories too. Every process that inherits the descriptor holds the lock,
   * until the last one has closed it. Independent of {@link lockFile}, except on network file systems. Never waits.
   * @returns 0; -EAGAIN if another open file description holds the lock
   * @see flock(2)
   */
  lockDescription(fd: number): number
  /** For all duplicates of the descriptor, in other processes too. */
  unlockDescription(fd: number): number

  // ---- privileges: addon/process.cc, addon/capabilities.cc. "Process": concerns all threads. "Thread": concerns the
  // calling thread and the children that it starts. Call the latter on the main thread before the first asynchronous
  // file operation, which starts further threads.

  /**
   * Looks a user up; a decimal number means that uid and, as in the C swtpm, the same gid. May wait for a
   * directory service. Call it before {@link chroot}.
   * @returns the ids, and all group ids of the user for {@link switchUser}; -ENOENT for no such user; -ERANGE for a
   * number that is no id
   * @see getpwnam(3), getgrouplist(3)
   */
  userByName(name: string): [uid: number, gid: number, groups: number[]] | number
  /** @returns the group id; a decimal number means itself; -ENOENT, -ERANGE as above. @see getgrnam(3) */
  groupByName(name: string): number
  /**
   * Process, for good: real, effective and saved ids; from root to another user the capabilities go as well. The
   * process becomes undumpable. After an error it may be half changed: end it.
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
   * @returns 0; 1 if the bounding set could not be dropped, for want of CAP_SETPCAP: call {@link setNoNewPrivileges},
   * or a set-uid program could gain capabilities; -ENOENT without /proc, -ETIMEDOUT: only this thread, or not all of
   * them, have dropped theirs
   * @see capabilities(7)
   */
  dropCapabilities(keep: readonly number[]): number
  /** Thread, for good: set-uid and set-capability programs grant nothing. @see prctl(2) PR_SET_NO_NEW_PRIVS */
  setNoNewPrivileges(): number
  /**
   * Process: `false` means no core dump, and no debugger or /proc/PID/mem for other processes of the same user.
   * Children start dumpable again.
   * @see prctl(2) PR_SET_DUMPABLE
   */
  setDumpable(on: boolean): number
  /** Process and children, for good: no core files. Where cores are piped to a program, use setDumpable(). @see setrlimit(2), core(5) */
  disableCoreDumps(): number

  // ---- system calls: addon/syscall_filter.cc

  /**
   * Process, all threads, for good: forbids new processes, other users, roots and mounts, and access to other processes
   * and the kernel; implies {@link setNoNewPrivileges}. Threads can still be started, files and sockets opened.
   * @param kill true: a forbidden call ends the process by SIGSYS; false: the kernel logs it and lets it pass
   * @returns 0; -ESRCH if a thread has a filter of its own; -EINVAL where the kernel has no seccomp
   * @see seccomp(2)
   */
  forbidSystemCalls(kill: boolean): number

  // ---- readiness: addon/poller.cc

  readonly Poller: new (
    fd: number,
    callback: PollCallback,
  ) => Poller
}

/**
 * A closed or failed connection is reported as ready for all that was asked for, again and again until stop() or close().
 * Bytes may still be waiting; the read or write after them returns the errno.
 * @param error 0, or -EBADF when the descriptor is not open: the poller has stopped then
 */
export type PollCallback = (error: number, readable: boolean, writable: boolean) => void

/** For {@link Poller.start}. */
export const READABLE = 1
export const WRITABLE = 2

/**
 * Level-triggered readiness of one descriptor, on this thread's event loop. It changes neither the descriptor nor its
 * blocking mode. Close the poller before the descriptor. One poller per descriptor and thread.
 *
 * While started, the poller keeps the process alive and is not collected; its callback is not collected until close().
 */
export interface Poller {
  /**
   * @param mask of READABLE, WRITABLE; replaces the one before
   * @returns 0; -EPERM for what cannot be polled, such as a regular file; -EEXIST if another poller of this thread has
   * the descriptor; -EBADF if it is not open, or after close()
   * @see epoll(7)
   */
  start(mask: number): number
  /** No callback comes after it until the next start(). */
  stop(): number
  /** No callback comes after it, and the descriptor may be closed. Harmless when repeated. */
  close(): number
}
