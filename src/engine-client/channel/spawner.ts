/**
 * The process that starts engines: `tpm-engine --spawner`, a child that the supervisor starts before it gives up the right
 * to start programs and changes its root or its user. It has no state and no keys. One spawner starts any number of
 * engines, and kills those that do not end. Which program they are, and how strict their filter of system calls is at least, it
 * is told when it starts.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { resolve } from 'node:path'
import { encodeFrame, FRAME_KIND, FrameDecoder, SPAWN_FLAG } from '../../../contract/engine-channel.ts'
import { engineEndedEvent } from '../../../contract/engine-events.ts'
import type { SeccompAction } from '../../../contract/engine-options.ts'
import { killReq, SPAWNER_REQUESTS, spawnReq, spawnResp, word } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'
import { SwtpmError } from '../../system/errors.ts'
import { DescriptorSocket } from '../../system/io/descriptor-socket.ts'
import { log } from '../../system/log.ts'
import { check } from '../../system/native/check.ts'
import { native } from '../../system/native/load.ts'
import { describeErrno, reasonOf } from '../../system/reason.ts'
import { within } from '../../system/time-limit.ts'
import { engineEnvironment, enginePath } from './engine-program.ts'
import { howItEnded } from './how-it-ended.ts'
import type { EngineDescriptors, EngineSpawner, SpawnedEngine } from './spawned-engine.ts'

export interface SpawnerOptions {
  /** Where what engines say on their standard error goes: libtpms's debug output, last words; nowhere when undefined. */
  readonly logFd: number | undefined
  /** The user that the engines run as; the supervisor's own when undefined. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined
  /** Every engine has this filter of system calls, or one that forbids more. */
  readonly seccomp: SeccompAction
  /** Execute the program anew for each engine, whose addresses then are its own. */
  readonly freshEngines?: boolean
}

interface Expected {
  started(pid: number): void
  failed(reason: string): void
  ended(reason: string): void
}

/** How long it may take to end: it gives its engines 8 s, and 2 s more after it has killed them. */
const END_LIMIT_MS = 11_000

export class Spawner implements EngineSpawner {
  readonly #child: ChildProcess
  readonly #freshEngines: boolean
  readonly #socket: DescriptorSocket
  readonly #decoder = new FrameDecoder()
  readonly #starting = new Map<number, Expected>()
  readonly #running = new Map<number, Expected>()
  #nextId = 1
  #gone: string | undefined
  #resolveGone!: () => void
  readonly gone = new Promise<void>((resolve) => {
    this.#resolveGone = resolve
  })
  #resolveExited!: () => void
  readonly #exited = new Promise<void>((resolve) => {
    this.#resolveExited = resolve
  })

  /** @throws SwtpmError SWTPM_ERR_ENGINE_START */
  constructor({ logFd, user, seccomp, freshEngines = false }: SpawnerOptions) {
    this.#freshEngines = freshEngines
    const [ours, theirs] = check(native.socketPair(), 'make a socket pair for the engine')
    // Of the name, not of the file, so that an upgrade is found.
    const program = resolve(enginePath())
    let child: ChildProcess
    try {
      // Detached: a terminal's ^C reaches the supervisor alone, which then ends the engines in order.
      child = spawn(program, ['--spawner', program, '--seccomp', seccomp], {
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
    this.#child = child
    child.on('error', (error) => {
      this.#end(reasonOf(error))
      this.#resolveExited()
    })
    child.on('exit', (code, signal) => {
      this.#resolveExited()
      this.#socket.drain()
      this.#end(
        signal === null ? `the spawner exited with status ${code}` : `the spawner was killed by ${signal}`,
      )
    })
    this.#socket = new DescriptorSocket(ours)
    this.#socket.on('data', (chunk) => this.#receive(chunk))
  }

  spawn(args: readonly string[], fds: EngineDescriptors, fresh: boolean): SpawnedEngine {
    const id = this.#nextId++
    const words = Buffer.from(args.map((word) => `${word}\0`).join(''))
    const body = spawnReq.encode({ flags: fresh || this.#freshEngines ? SPAWN_FLAG.fresh : 0, words }, BIG)
    const pid = promiseWithFunctions<number>()
    const ended = promiseWithFunctions<string>()
    // Callers that ignore `pid` learn of the failure from `ended`.
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
      this.#socket.write(encodeFrame(FRAME_KIND.request, id, SPAWNER_REQUESTS.SPAWN.code, body), [
        fds.channel,
        fds.state,
        fds.sharedState,
      ])
    }
    return {
      pid: pid.promise,
      ended: ended.promise,
      kill: () => {
        pid.promise.then((number) => this.#kill(number, expected)).catch(() => {})
      },
    }
  }

  async close(): Promise<void> {
    this.#end('the spawner was let go')
    this.#child.ref()
    if ((await within(END_LIMIT_MS, this.#exited, 'late')) !== 'late') return
    log.error(`What starts engines has not ended within ${END_LIMIT_MS / 1000} s: it is killed`)
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  #kill(pid: number, engine: Expected): void {
    // By now another engine may have the number.
    if (this.#running.get(pid) !== engine) return
    const body = killReq.encode({ pid }, BIG)
    this.#socket.write(encodeFrame(FRAME_KIND.request, this.#nextId++, SPAWNER_REQUESTS.KILL.code, body))
  }

  #receive(chunk: Buffer): void {
    for (const { kind, id, body } of this.#decoder.push(chunk)) {
      if (kind === FRAME_KIND.reply) {
        this.#answered(id, body)
      } else {
        const { pid, status, signal } = engineEndedEvent.decode(body.subarray(word.size), BIG)
        this.#ended(pid, status, signal)
      }
    }
  }

  #answered(id: number, body: Buffer): void {
    const expected = this.#starting.get(id)
    // The reply to KILL: it had ended before, or its end is reported.
    if (expected === undefined) return
    this.#starting.delete(id)
    const { errno, pid } = spawnResp.decode(body, BIG)
    if (errno === 0) {
      this.#running.set(pid, expected)
      expected.started(pid)
    } else {
      expected.failed(describeErrno(-errno).text)
    }
  }

  #ended(pid: number, code: number, signal: number): void {
    this.#running.get(pid)?.ended(howItEnded(code, signal))
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

/** A promise, and the functions that resolve and reject it. */
function promiseWithFunctions<T>() {
  let resolve!: (value: T) => void
  let reject!: (error: Error) => void
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
