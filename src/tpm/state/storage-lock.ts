/**
 * The lock that keeps two TPMs off one state: an fcntl(2) write lock on `.lock` in the state directory, or on the linear
 * state file itself, as every swtpm takes it.
 *
 * The keeper holds it ({@link LockOwner}), not the engine, so that it outlives an engine that is replaced. It is a POSIX
 * lock: closing any other descriptor of the same file in that process would drop it, so it never has a second one.
 *
 * If the supervisor is killed, its engine still stores what it has to and only then ends. So the engine's descriptor of
 * the state carries a lock of its own, which lasts as long as that engine: the next TPM waits for it.
 */
import { constants, fchmodSync, openSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { SwtpmError } from '../../system/errors.ts'
import { native } from '../../system/native/load.ts'
import { describeErrno, reasonOf } from '../../system/reason.ts'
import { delay } from '../../system/time-limit.ts'
import { type LockOwner, ownsLockFile, ownsStateFile } from './lock-owner.ts'
import { completeReplacements } from './replacement.ts'

export const LOCK_FILE = '.lock'
const LOCK_FILE_MODE = 0o660
const RETRY_DELAY_MS = 10
/** How long an engine without a supervisor may take to end; it gives a running command 3 s. */
const ENGINE_END_MS = 5000
/** Where the kernel makes one lock of both kinds, each in the way of the other: NFS, SMB. */
const NETWORK_FILE_SYSTEMS = new Set([0x6969, 0xff534d42, 0xfe534d42])
const EACCES = -13
const EAGAIN = -11
const ENOLCK = -37

const NO_FILE = -1

/** To take the lock. */
interface Attempt {
  retries: number
  done: Promise<void>
}

export class StorageLock {
  /** What is locked, for messages. */
  readonly #what: string
  readonly #open: () => number
  readonly #owner: LockOwner
  /** The engine's descriptor of the state; undefined where it needs no lock, or can have none. */
  readonly #engineFd: number | undefined
  /** Puts the state in order that a process which was killed has left. */
  readonly #putInOrder: () => void
  /** Where the lock is, or is being waited for. */
  #fd: number | undefined
  #held = false
  /** The one that is under way. */
  #attempt: Attempt | undefined

  private constructor(
    what: string,
    open: () => number,
    owner: LockOwner,
    engineFd: number | undefined,
    putInOrder = (): void => {},
  ) {
    this.#what = what
    this.#engineFd = engineFd
    this.#putInOrder = putInOrder
    this.#open = open
    this.#owner = owner
  }

  /** @param path where the directory will be when it is locked @param fd the descriptor that the engine gets */
  static ofDirectory(path: string, fd: number, owner = ownsLockFile): StorageLock {
    const file = join(path, LOCK_FILE)
    const open = (): number => {
      const { O_WRONLY, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants
      const fd = openSync(file, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, LOCK_FILE_MODE)
      try {
        // Another user of the group must be able to lock it too, whatever our umask. A file of another user stays as it is.
        fchmodSync(fd, LOCK_FILE_MODE)
      } catch {}
      return fd
    }
    return new StorageLock(`state directory "${path}"`, open, owner, lockable(fd), () =>
      completeReplacements(path),
    )
  }

  /** The linear backend locks the state file itself, through the descriptor that stays open for the engine. */
  static ofFile(path: string, fd: number, owner = ownsStateFile): StorageLock {
    return new StorageLock(`state file "${path}"`, () => fd, owner, lockable(fd))
  }

  /** For `lock=false`: always had at once. */
  static none(): StorageLock {
    return new StorageLock(
      'state',
      () => NO_FILE,
      { lock: () => ({ result: 0, holder: 0 }), unlock() {} },
      undefined,
    )
  }

  /** An earlier supervisor of this TPM has had the keeper take the lock. */
  resume(): void {
    this.#fd = NO_FILE
    this.#held = true
  }

  /** An attempt to take it is under way. */
  get busy(): boolean {
    return this.#attempt !== undefined
  }

  get held(): boolean {
    return this.#held
  }

  /**
   * Takes the lock, trying again at intervals of 10 ms, `retries` times at least: who asks while the lock is waited for
   * waits along.
   * @throws SwtpmError SWTPM_ERR_STATE_LOCKED naming the holder, SWTPM_ERR_STATE_DIR when there is no lock to be had,
   * SWTPM_ERR_ENDED when {@link unlock} was called meanwhile
   */
  async lock(retries = 0): Promise<void> {
    if (this.#held) return
    this.#attempt ??= this.#begin(retries)
    this.#attempt.retries = Math.max(this.#attempt.retries, retries)
    return this.#attempt.done
  }

  /** Lets the lock go; a {@link lock} that still waits for it fails. */
  unlock(): void {
    if (this.#fd === undefined) return
    this.#attempt = undefined
    if (this.#engineFd !== undefined) native.unlockDescription(this.#engineFd)
    this.#owner.unlock(this.#fd)
    this.#fd = undefined
    this.#held = false
  }

  #begin(retries: number): Attempt {
    this.#fd = this.#openLock()
    const attempt: Attempt = { retries, done: Promise.resolve() }
    attempt.done = this.#take(this.#fd, attempt).finally(() => {
      if (this.#attempt === attempt) this.#attempt = undefined
    })
    return attempt
  }

  async #take(fd: number, attempt: Attempt): Promise<void> {
    try {
      await this.#lockFile(fd, attempt)
      await this.#outlastEngine(attempt)
      this.#inOrder()
      this.#held = true
    } catch (error) {
      if (!isGivenUp(error)) this.unlock()
      throw error
    }
  }

  /** @throws SwtpmError SWTPM_ERR_STATE_DIR */
  #inOrder(): void {
    try {
      this.#putInOrder()
    } catch (error) {
      throw new SwtpmError(
        'SWTPM_ERR_STATE_DIR',
        `Cannot remove what an earlier TPM has left in ${this.#what}: ${reasonOf(error)}`,
        { cause: error },
      )
    }
  }

  /** @throws SwtpmError SWTPM_ERR_STATE_DIR */
  #openLock(): number {
    try {
      return this.#open()
    } catch (error) {
      throw new SwtpmError('SWTPM_ERR_STATE_DIR', `Cannot lock ${this.#what}: ${reasonOf(error)}`, {
        cause: error,
      })
    }
  }

  /** Keeps the state from another supervisor. */
  async #lockFile(fd: number, attempt: Attempt): Promise<void> {
    for (let tries = 0; ; tries++) {
      const { result, holder } = this.#owner.lock(fd)
      if (result >= 0) return
      if (result !== EAGAIN && result !== EACCES) {
        const reason = result === ENOLCK ? 'its file system has no locks' : describeErrno(result).text
        throw new SwtpmError(
          'SWTPM_ERR_STATE_DIR',
          `Cannot lock ${this.#what}: ${reason}; --tpmstate …,lock=false does without the lock`,
        )
      }
      if (tries >= attempt.retries) {
        const who = holder > 0 ? `process ${holder}` : 'another process'
        throw new SwtpmError('SWTPM_ERR_STATE_LOCKED', `Cannot lock ${this.#what}: held by ${who}`)
      }
      await this.#pause(attempt)
    }
  }

  /** Waits for an engine whose supervisor was killed, and which still stores its state. */
  async #outlastEngine(attempt: Attempt): Promise<void> {
    if (this.#engineFd === undefined) return
    const deadline = Date.now() + ENGINE_END_MS
    // Any other error: a file system without such locks.
    while (native.lockDescription(this.#engineFd) === EAGAIN) {
      if (Date.now() > deadline)
        throw new SwtpmError(
          'SWTPM_ERR_STATE_LOCKED',
          `Cannot lock ${this.#what}: in use by an engine whose swtpm has been killed`,
        )
      await this.#pause(attempt)
    }
  }

  /** @throws SwtpmError SWTPM_ERR_ENDED when {@link unlock} was called: the descriptors may be closed by now */
  async #pause(attempt: Attempt): Promise<void> {
    await delay(RETRY_DELAY_MS)
    if (this.#attempt !== attempt)
      throw new SwtpmError('SWTPM_ERR_ENDED', `Cannot lock ${this.#what}: the TPM ends`)
  }
}

/** {@link StorageLock.unlock} has closed the descriptors, and another attempt may be under way. */
const isGivenUp = (error: unknown): boolean => error instanceof SwtpmError && error.code === 'SWTPM_ERR_ENDED'

/** @returns `fd`, or undefined on a file system where its lock would be in the way of the other one */
function lockable(fd: number): number | undefined {
  try {
    return NETWORK_FILE_SYSTEMS.has(statfsSync(`/proc/self/fd/${fd}`).type >>> 0) ? undefined : fd
  } catch {
    return undefined
  }
}
