/**
 * One TPM as the front ends see it: its run state, its storage lock and its engine. Knows the rules of the verbs and
 * nothing of sockets or devices.
 *
 * Run state: `off` until the first INIT, then `running`, and `stopped` after STOP. PTM INIT is power-on; Startup is a
 * TPM command, which the user of the TPM sends unless the options say that we do.
 */

import type { TpmVersion } from '../../contract/engine-options.ts'
import {
  TPM_BAD_ORDINAL,
  TPM_FAIL,
  TPM_INVALID_POSTINIT,
  TPM_RC_INITIALIZE,
  TPM_SUCCESS,
} from '../../contract/tpm-result.ts'
import { type Outcome, type Request, VERBS, type Verb, type VerbName } from '../../contract/verbs.ts'
import type { EngineClient } from '../engine-client/engine-client.ts'
import { SwtpmError, type SwtpmErrorCode } from '../system/errors.ts'
import { isFault, sentenceOf } from '../system/fault.ts'
import { guarded } from '../system/guard.ts'
import { log } from '../system/log.ts'
import { within } from '../system/time-limit.ts'
import { responseCode } from '../tpm-commands/command.ts'
import { type StartupType, selfTestCommand, startupCommand } from '../tpm-commands/startup.ts'
import { namedResult, namedVerbResult } from '../tpm-structures/result-codes.ts'
import type { StorageLock } from './state/storage-lock.ts'

/** Retries of the storage lock, 10 ms apart, after it was released for a migration that then did not happen. */
const DEFAULT_LOCKING_RETRIES = 300

/** How long an engine may take for SHUTDOWN when the supervisor ends; it cancels a running command first. */
const SHUTDOWN_LIMIT_MS = 5000

export interface TpmOptions {
  readonly version: TpmVersion
  /** The state comes in by migration: it is locked only when the first blob or command arrives. */
  readonly incomingMigration: boolean
  /** It has no secrets (`--seed-insecure`), and is given none. */
  readonly keepsNoSecrets?: boolean
  /** Another TPM answers its commands (`--behind`). */
  readonly isElsewhere?: boolean
}

export interface SavedTpm {
  readonly running: boolean
  readonly hasBeenOn: boolean
  readonly lockingRetries: number
  readonly storageHeld: boolean
}

/** libtpms did not power the TPM on. */
class PowerOnError extends SwtpmError {
  readonly tpmResult: number

  constructor(action: string, tpmResult: number) {
    super('SWTPM_ERR_TPM_INIT', `Cannot ${action}: libtpms result ${namedVerbResult(tpmResult)}`)
    this.tpmResult = tpmResult
  }
}

/** Faults of a power-on that leave the engine in order; the client of INIT gets a result. */
const POWER_ON_FAULTS: ReadonlySet<SwtpmErrorCode> = new Set([
  'SWTPM_ERR_TPM_INIT',
  'SWTPM_ERR_STATE_LOCKED',
  'SWTPM_ERR_STATE_DIR',
])

export class Tpm {
  readonly version: TpmVersion
  /** No state of another TPM may come into it. */
  readonly keepsNoSecrets: boolean
  /** What libtpms has of it is nothing. */
  readonly isElsewhere: boolean
  readonly engine: EngineClient
  readonly #storage: StorageLock
  #running = false
  #hasBeenOn = false
  #powerOns = 0
  #incomingMigration: boolean
  #lockingRetries = 0
  /** Why the storage could not be locked for a command, as it was logged; until it can be. */
  #lockingFault: string | undefined
  /** A command waits for the storage. */
  #storageAsked = false
  #answeringStorage = false

  constructor(engine: EngineClient, storage: StorageLock, options: TpmOptions) {
    this.version = options.version
    this.keepsNoSecrets = options.keepsNoSecrets ?? false
    this.isElsewhere = options.isElsewhere ?? false
    this.engine = engine
    this.#storage = storage
    this.#incomingMigration = options.incomingMigration
    engine.on('storageNeeded', () => guarded(this.#answerStorageNeeded()))
    engine.on('resumed', (running) => {
      this.#running = running
    })
  }

  /** What the next supervisor of this TPM has to know; undefined while something is under way. */
  save(): SavedTpm | undefined {
    // While the storage is given away, a migration is under way.
    if (this.#storage.busy || (this.#hasBeenOn && !this.#storage.held) || this.#incomingMigration)
      return undefined
    return {
      running: this.#running,
      hasBeenOn: this.#hasBeenOn,
      lockingRetries: this.#lockingRetries,
      storageHeld: this.#storage.held,
    }
  }

  resume({ running, hasBeenOn, lockingRetries, storageHeld }: SavedTpm): void {
    this.#running = running
    this.#hasBeenOn = hasBeenOn
    this.#lockingRetries = lockingRetries
    this.#incomingMigration = false
    if (storageHeld) this.#storage.resume()
  }

  /** There has been an INIT. */
  get hasBeenOn(): boolean {
    return this.#hasBeenOn
  }

  get running(): boolean {
    return this.#running
  }

  /** How often this process has powered it on. */
  get powerOns(): number {
    return this.#powerOns
  }

  /** Whether the run state allows a verb; its row in the table of verbs says which it needs. */
  allows(name: VerbName): boolean {
    const { when }: Verb = VERBS[name]
    return when === 'any' || this.#running === (when === 'running')
  }

  /** INIT of a client. @returns a TPM result; the log says why the TPM did not start */
  async init(initFlags: number): Promise<number> {
    try {
      await this.powerOn(initFlags)
      return TPM_SUCCESS
    } catch (error) {
      if (!(error instanceof SwtpmError) || !POWER_ON_FAULTS.has(error.code)) throw error
      log.error(error.message)
      return error instanceof PowerOnError ? error.tpmResult : TPM_FAIL
    }
  }

  /**
   * Power on, after a clean power off where it runs.
   * @throws SwtpmError SWTPM_ERR_TPM_INIT, SWTPM_ERR_STATE_LOCKED, SWTPM_ERR_STATE_DIR
   */
  async powerOn(initFlags: number): Promise<void> {
    await this.#prepare()
    // The engine takes them in this order.
    const [, { tpmResult }] = await Promise.all([
      this.engine.setStorage(this.#storage.held),
      this.engine.verb('INIT', { initFlags }),
    ])
    this.#initialized(tpmResult)
  }

  /**
   * Power on and Startup on behalf of the user. What a TPM stores over both is held back and stored once: no client has seen
   * any of it before this returns.
   * @throws SwtpmError as {@link powerOn}; SWTPM_ERR_TPM_INIT also when the TPM refuses Startup
   */
  async powerOnAndStartup(type: StartupType): Promise<void> {
    await this.#prepare()
    return this.engine.unbroken(async () => {
      const locked = this.#storage.held
      const [, , { tpmResult }, startup] = await Promise.all([
        // Locked for a moment: what an engine that was killed has left is put in order.
        this.engine.setStorage(locked),
        this.engine.setStorage(false),
        this.engine.verb('INIT', { initFlags: 0 }),
        this.engine.process(startupCommand(this.version, type)),
      ])
      this.#initialized(tpmResult)
      this.#checkStartup(type, startup)
      if (!locked) return
      const stored = await this.engine.setStorage(true)
      if (stored !== TPM_SUCCESS) throw new PowerOnError('store the state of the TPM', stored)
    })
  }

  /** Powers off and locks the storage. @throws SwtpmError SWTPM_ERR_STATE_LOCKED, SWTPM_ERR_STATE_DIR */
  async #prepare(): Promise<void> {
    // An engine that has just begun has nothing to be stopped, and can be told what is to come while it still starts.
    if (this.#hasBeenOn) await this.#stop('STOP')
    this.#hasBeenOn = true
    if (!this.#incomingMigration) await this.#storage.lock(this.#lockingRetries)
  }

  /** @throws PowerOnError */
  #initialized(tpmResult: number): void {
    this.#running = tpmResult === TPM_SUCCESS
    if (!this.#running) throw new PowerOnError('start the TPM', tpmResult)
    this.#powerOns++
  }

  /**
   * Power fails and comes back behind the user's back: no TPM2_Shutdown, no Startup. What a running command has not stored is lost.
   * @throws SwtpmError SWTPM_ERR_TPM_INIT
   */
  async reset(): Promise<void> {
    await this.cutPower()
    await this.engine.unbroken(async () => {
      const { tpmResult } = await this.engine.verb('INIT', { initFlags: 0 })
      this.#initialized(tpmResult)
    })
  }

  /** Power off without TPM2_Shutdown. */
  async cutPower(): Promise<void> {
    this.#running = false
    await this.engine.cutPower()
  }

  stop(): Promise<number> {
    return this.#stop('STOP')
  }

  /** Power off for good: a running command is cancelled, the state is stored. @returns a TPM result */
  shutdown(): Promise<number> {
    return this.#stop('SHUTDOWN')
  }

  /**
   * Powers off for good and ends the engine. An engine that does not answer is left after 5 s, and killed when it does not
   * end by itself then.
   * @returns whether the engine has ended
   */
  async end(): Promise<boolean> {
    if (!this.engine.started) return this.engine.close()
    const off = this.shutdown().catch((error) => {
      // An engine that has gone cannot be shut down any more; that was reported.
      if (!(error instanceof SwtpmError) || error.code !== 'SWTPM_ERR_ENGINE_GONE') throw error
    })
    let ended = false
    try {
      if ((await within(SHUTDOWN_LIMIT_MS, off, 'late')) === 'late') {
        log.error(`The engine has not answered SHUTDOWN within ${SHUTDOWN_LIMIT_MS / 1000} s`)
      }
    } finally {
      ended = await this.engine.close()
    }
    return ended
  }

  #checkStartup(type: StartupType, { tpmResult, response }: { tpmResult: number; response: Buffer }): void {
    const code = tpmResult === TPM_SUCCESS ? responseCode(response) : tpmResult
    const startedBefore = this.version === '2' ? TPM_RC_INITIALIZE : TPM_INVALID_POSTINIT
    if (code === TPM_SUCCESS || code === startedBefore) return
    const hex =
      code === undefined
        ? 'no response'
        : `response code ${namedResult(`0x${code.toString(16)}`, this.version)}`
    throw new SwtpmError('SWTPM_ERR_TPM_INIT', `Cannot start the TPM by Startup(${type}): ${hex}`)
  }

  /** Does what a client's own request for it would take its time for; that is answered at once afterwards. */
  async selfTest(): Promise<void> {
    if (this.isElsewhere) return
    // The result is for the client that asks next, not for us.
    await this.engine.process(selfTestCommand(this.version))
  }

  /** Takes the storage lock if it is not held. @returns whether it is held now */
  async ensureLockedStorage(): Promise<boolean> {
    const fault = await this.#lockStorage()
    if (fault !== undefined) log.error(fault)
    return fault === undefined
  }

  /** @returns why the storage cannot be locked */
  async #lockStorage(): Promise<string | undefined> {
    if (!this.#storage.held) {
      try {
        await this.#storage.lock(this.#lockingRetries)
      } catch (error) {
        if (!isFault(error)) throw error
        return sentenceOf(error)
      }
      this.#lockingRetries = 0
      this.#incomingMigration = false
    }
    this.#lockingFault = undefined
    await this.engine.setStorage(true)
    return undefined
  }

  /** LOCK_STORAGE: as {@link ensureLockedStorage}, with a number of retries that is kept. */
  lockStorage(retries: number): Promise<boolean> {
    this.#lockingRetries = retries
    return this.ensureLockedStorage()
  }

  /**
   * The savestate blob, the last one of an outgoing migration, has been handed out: the destination may lock now. A
   * command that comes here after all takes the lock back first.
   */
  async releaseStorageAfterMigration(): Promise<void> {
    await this.engine.setStorage(false)
    this.#storage.unlock()
    this.#lockingRetries = DEFAULT_LOCKING_RETRIES
  }

  /** Executes a verb that needs nothing but the engine. */
  forward<V extends VerbName>(name: V, request: Request<V>): Promise<Outcome<V>> {
    return this.engine.verb(name, request)
  }

  async #stop(verb: 'STOP' | 'SHUTDOWN'): Promise<number> {
    this.#running = false
    const { tpmResult } = await this.engine.verb(verb, {})
    return tpmResult === TPM_BAD_ORDINAL ? TPM_SUCCESS : tpmResult
  }

  /** One answer at a time is enough: it is for all commands that wait. */
  async #answerStorageNeeded(): Promise<void> {
    this.#storageAsked = true
    if (this.#answeringStorage) return
    this.#answeringStorage = true
    try {
      while (this.#storageAsked) {
        this.#storageAsked = false
        await this.#answerStorage()
      }
    } finally {
      this.#answeringStorage = false
    }
  }

  async #answerStorage(): Promise<void> {
    try {
      const fault = await this.#lockStorage()
      if (fault === undefined) return
      // Each command asks; the cause is logged once.
      if (fault !== this.#lockingFault) log.error(fault)
      this.#lockingFault = fault
      await this.engine.setStorage(false)
    } catch (error) {
      // The next engine asks again.
      if (!isFault(error)) throw error
    }
  }
}
