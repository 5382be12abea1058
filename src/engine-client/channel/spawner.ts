/**
 * The process that starts engines: `tpm-engine --spawner`, a child that we start before we give up the right to start
 * programs, change our root or our user. It has no state and no keys. One serves any number of engines.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { encodeFrame, FRAME_KIND, FrameDecoder, SPAWN_FLAG } from '../../../contract/engine-channel.ts'
import { engineEndedEvent } from '../../../contract/engine-events.ts'
import { SPAWNER_REQUESTS, spawnReq, spawnResp, word } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'
import { SwtpmError } from '../../system/errors.ts'
import { DescriptorSocket } from '../../system/io/descriptor-socket.ts'
import { check, native } from '../../system/native.ts'
import { describeErrno, reasonOf } from '../../system/reason.ts'
import { engineEnvironment, enginePath } from './engine-program.ts'

export interface SpawnerOptions {
  /** Where the engines' fd 2 leads: libtpms's debug output, crash messages; nowhere when undefined. */
  readonly logFd: number | undefined
  /** Whom the engines run as; ourselves when undefined. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined
  /** Execute the program anew for each engine, which then has an address space of its own. */
  readonly freshEngines?: boolean
}

/** How one engine begins, and comes to its end. */
export interface SpawnedEngine {
  /** @throws SwtpmError SWTPM_ERR_ENGINE_START */
  readonly pid: Promise<number>
  /** Settles with the way it ended, in words. */
  readonly ended: Promise<string>
}

interface Expected {
  started(pid: number): void
  failed(reason: string): void
  ended(reason: string): void
}

export class Spawner {
  readonly #program = enginePath()
  readonly #freshEngines: boolean
  readonly #socket: DescriptorSocket
  readonly #decoder = new FrameDecoder()
  readonly #starting = new Map<number, Expected>()
  readonly #running = new Map<number, Expected>()
  #nextId = 1
  #gone: string | undefined
  #resolveGone!: () => void
  /** Settles when nothing more can be started, nor told of those that run. */
  readonly gone = new Promise<void>((resolve) => {
    this.#resolveGone = resolve
  })

  /** @throws SwtpmError SWTPM_ERR_ENGINE_START */
  constructor({ logFd, user, freshEngines = false }: SpawnerOptions) {
    this.#freshEngines = freshEngines
    const [ours, theirs] = check(native.socketPair(), 'make a socket pair for the engine')
    let child: ChildProcess
    try {
      // Detached: a terminal's ^C reaches the supervisor alone, which then ends the engines in order.
      child = spawn(this.#program, ['--spawner'], {
        stdio: ['ignore', 'ignore', logFd ?? 'ignore', theirs],
        detached: true,
        ...(user && { uid: user.uid, gid: user.gid }),
        cwd: '/',
        env: engineEnvironment(),
      })
    } catch (error) {
      closeSync(ours)
      throw new SwtpmError('SWTPM_ERR_ENGINE_START', `Cannot start the engine: ${reasonOf(error)}`, {
        cause: error,
      })
    } finally {
      closeSync(theirs)
    }
    child.unref()
    child.on('error', (error) => this.#end(reasonOf(error)))
    child.on('exit', (code, signal) => {
      this.#socket.drain()
      this.#end(
        signal === null ? `the spawner exited with status ${code}` : `the spawner was killed by ${signal}`,
      )
    })
    this.#socket = new DescriptorSocket(ours)
    this.#socket.on('data', (chunk) => this.#receive(chunk))
  }

  /**
   * Starts an engine.
   * @param fds what it inherits from number 3 on; they stay the caller's, to be kept open until `pid` has settled. No
   * copies are made of them: to close one would drop the lock on a linear state file.
   * @param fresh execute the program anew, as it lies there now, instead of a copy of the one that runs
   */
  spawn(args: readonly string[], fds: readonly number[], fresh: boolean): SpawnedEngine {
    const id = this.#nextId++
    const words = Buffer.from([this.#program, ...args].map((word) => `${word}\0`).join(''))
    const body = spawnReq.encode({ flags: fresh || this.#freshEngines ? SPAWN_FLAG.fresh : 0, words }, BIG)
    const pid = settler<number>()
    const ended = settler<string>()
    // Whoever does not ask for the number hears of it by the end.
    pid.promise.catch(() => {})
    const expected: Expected = {
      started: pid.resolve,
      failed(reason) {
        ended.resolve(reason)
        pid.reject(new SwtpmError('SWTPM_ERR_ENGINE_START', `Cannot start the engine: ${reason}`))
      },
      ended: ended.resolve,
    }
    if (this.#gone !== undefined) {
      expected.failed(this.#gone)
    } else {
      this.#starting.set(id, expected)
      this.#socket.write(encodeFrame(FRAME_KIND.request, id, SPAWNER_REQUESTS.SPAWN.code, body), fds)
    }
    return { pid: pid.promise, ended: ended.promise }
  }

  /** Lets the spawner go. Engines that run do so on. */
  close(): void {
    this.#end('the spawner was let go')
  }

  #receive(chunk: Buffer): void {
    for (const { kind, id, body } of this.#decoder.push(chunk)) {
      if (kind === FRAME_KIND.reply) {
        const { errno, pid } = spawnResp.decode(body, BIG)
        this.#started(id, errno, pid)
      } else {
        const { pid, status, signal } = engineEndedEvent.decode(body.subarray(word.size), BIG)
        this.#ended(pid, status, signal)
      }
    }
  }

  #started(id: number, errno: number, pid: number): void {
    const expected = this.#starting.get(id)
    this.#starting.delete(id)
    if (expected === undefined) return
    if (errno === 0) {
      this.#running.set(pid, expected)
      expected.started(pid)
    } else {
      expected.failed(describeErrno(-errno).text)
    }
  }

  #ended(pid: number, code: number, signal: number): void {
    this.#running
      .get(pid)
      ?.ended(signal === 0 ? `it exited with status ${code}` : `it was killed by ${signalName(signal)}`)
    this.#running.delete(pid)
  }

  #end(reason: string): void {
    if (this.#gone !== undefined) return
    this.#gone = reason
    this.#socket.close()
    for (const { failed } of this.#starting.values()) failed(reason)
    this.#starting.clear()
    this.#resolveGone()
  }
}

/** A promise, to be settled from outside. */
function settler<T>() {
  let resolve!: (value: T) => void
  let reject!: (error: Error) => void
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

const signalName = (number: number): string =>
  Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? `signal ${number}`
