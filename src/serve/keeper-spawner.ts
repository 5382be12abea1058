/** Engines that the keeper starts. It is told once how, and each of them then executes the program that is there. */

import { howItEnded } from '../engine-client/channel/how-it-ended.ts'
import type {
  EngineDescriptors,
  EngineSpawner,
  SpawnedEngine,
} from '../engine-client/channel/spawned-engine.ts'
import { type Keeper, words } from '../keeper/keeper.ts'
import { SwtpmError } from '../system/errors.ts'
import { describeErrno } from '../system/reason.ts'

export interface KeeperSpawnerOptions {
  /** Where what engines say on their standard error goes: libtpms's debug output, last words; nowhere when undefined. */
  readonly logFd: number | undefined
  /** The user that the engines run as; the keeper's own when undefined. */
  readonly user:
    | { readonly uid: number; readonly gid: number; readonly groups: readonly number[] }
    | undefined
}

export class KeeperSpawner implements EngineSpawner {
  /** Without the keeper this process ends as well. */
  readonly gone = new Promise<void>(() => {})
  readonly #keeper: Keeper
  readonly #logFd: number | undefined
  readonly #running = new Map<number, (reason: string) => void>()
  /** Engines that have ended before they were asked for, by their numbers. */
  readonly #ended = new Map<number, string>()

  constructor(keeper: Keeper, { logFd, user }: KeeperSpawnerOptions) {
    this.#keeper = keeper
    this.#logFd = logFd
    if (user !== undefined) keeper.ask('USER', user.uid, words(user.gid, ...user.groups))
    keeper.listen({
      engineEnded: (pid, status, signal) => {
        const reason = howItEnded(status, signal)
        const ended = this.#running.get(pid)
        if (ended === undefined) this.#ended.set(pid, reason)
        else ended(reason)
        this.#running.delete(pid)
      },
    })
  }

  /** The keeper has the state and the shared state from now on, and uses them for every engine. */
  prepare(args: readonly string[], { state, sharedState }: Omit<EngineDescriptors, 'channel'>): void {
    const fds = this.#logFd === undefined ? [state, sharedState] : [state, sharedState, this.#logFd]
    this.#keeper.ask('ENGINE', 0, Buffer.from(args.map((word) => `${word}\0`).join('')), fds)
  }

  spawn(_: readonly string[], { channel }: EngineDescriptors): SpawnedEngine {
    const { value } = this.#keeper.ask('SPAWN', 0, undefined, [channel])
    if (value > 0) return this.adopt(value)
    const reason = describeErrno(value).text
    const pid = Promise.reject(new SwtpmError('SWTPM_ERR_ENGINE_START', `Cannot start the engine: ${reason}`))
    // Callers that ignore `pid` learn of the failure from `ended`.
    pid.catch(() => {})
    return { pid, ended: Promise.resolve(reason), kill() {} }
  }

  /** An engine that an earlier Node has had started. */
  adopt(pid: number): SpawnedEngine {
    const before = this.#ended.get(pid)
    const ended =
      before === undefined
        ? new Promise<string>((resolve) => this.#running.set(pid, resolve))
        : Promise.resolve(before)
    return {
      pid: Promise.resolve(pid),
      ended,
      kill: () => {
        if (this.#running.has(pid)) this.#keeper.ask('KILL', pid)
      },
    }
  }

  async close(): Promise<void> {}
}
