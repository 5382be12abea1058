/** Starts the engines of one TPM, and keeps what all of them are given: the state, and the shared state. */

import { closeSync, readSync } from 'node:fs'
import { engineArguments } from '../../../contract/engine-options.ts'
import { SHARED_STATE_LAST_UNIQUE_OFFSET, SHARED_STATE_SIZE_BYTES } from '../../../contract/limits.ts'
import { HOST } from '../../../contract/struct.ts'
import { check } from '../../system/native/check.ts'
import { native } from '../../system/native/load.ts'
import { EngineLink, type EngineLinkEvents, type SavedLink } from '../channel/engine-link.ts'
import type { EngineOptions } from '../channel/engine-program.ts'
import type { EngineSpawner } from '../channel/spawned-engine.ts'

/** One engine, as the succession uses it. */
export type Engine = Pick<
  EngineLink,
  'pid' | 'build' | 'ended' | 'request' | 'takeFd' | 'close' | 'kill' | 'describe' | 'save' | 'channelFd'
>

/** An engine that runs, and our end of its channel. */
export interface RunningEngine extends SavedLink {
  readonly channelFd: number
}

export interface Starter {
  /** @param fresh execute the program that is there now, where the spawner of a fleet would make a copy of itself */
  start(fresh: boolean, events: EngineLinkEvents): Engine
  /** Takes over an engine that runs. */
  resume(engine: RunningEngine, events: EngineLinkEvents): Engine
  /** The last FUSE request that an engine has read, by number; 0 for none. */
  lastFuseRequest(): bigint
  /** Nothing more is started. */
  close(): void
}

/** Of a supervisor that needs none: the engines of its TPM have it, and it serves no CUSE device. */
export const NO_SHARED_STATE = -1

export class EngineStarter implements Starter {
  readonly #spawner: Omit<EngineSpawner, 'close'>
  readonly #options: EngineOptions
  readonly #sharedStateFd: number
  /** Engines that are still to be given the descriptors. */
  #starting = 0
  #open = true

  /** @param sharedStateFd where an earlier supervisor of this TPM has made it; it becomes ours */
  constructor(spawner: Omit<EngineSpawner, 'close'>, options: EngineOptions, sharedStateFd?: number) {
    this.#spawner = spawner
    this.#options = { ...options, stateFd: check(native.duplicate(options.stateFd), 'keep the state open') }
    this.#sharedStateFd =
      sharedStateFd ?? check(native.sharedMemory(SHARED_STATE_SIZE_BYTES), 'make memory for the engine')
    if (sharedStateFd !== undefined) return
    spawner.prepare?.(engineArguments(options), {
      state: this.#options.stateFd,
      sharedState: this.#sharedStateFd,
    })
  }

  start(fresh: boolean, events: EngineLinkEvents): EngineLink {
    const link = EngineLink.start(
      { spawner: this.#spawner, engine: this.#options, sharedStateFd: this.#sharedStateFd, fresh },
      events,
    )
    this.#starting++
    const given = (): void => {
      this.#starting--
      this.#release()
    }
    link.started.then(given, given)
    return link
  }

  resume({ channelFd, ...saved }: RunningEngine, events: EngineLinkEvents): EngineLink {
    const spawned = this.#spawner.adopt?.(saved.pid)
    if (spawned === undefined) throw new RangeError('this spawner adopts no engines')
    return EngineLink.resume(this.#spawner, channelFd, spawned, saved, events)
  }

  lastFuseRequest(): bigint {
    if (this.#sharedStateFd === NO_SHARED_STATE) return 0n
    const bytes = Buffer.alloc(8)
    readSync(this.#sharedStateFd, bytes, 0, bytes.length, SHARED_STATE_LAST_UNIQUE_OFFSET)
    return HOST.littleEndian ? bytes.readBigUInt64LE() : bytes.readBigUInt64BE()
  }

  close(): void {
    this.#open = false
    this.#release()
  }

  #release(): void {
    if (this.#open || this.#starting > 0) return
    // Once: the last engine to be given them may fail after all was closed.
    this.#starting = Number.POSITIVE_INFINITY
    closeSync(this.#options.stateFd)
    if (this.#sharedStateFd !== NO_SHARED_STATE) closeSync(this.#sharedStateFd)
  }
}
