/**
 * One served TPM from start to end: state, engine, keys, pid file, and everything that has to be undone. What commands
 * come in by is the front end's matter.
 */

import { enginePath } from '../engine-client/channel/engine-program.ts'
import type { EngineSpawner } from '../engine-client/channel/spawned-engine.ts'
import type { Keeper } from '../keeper/keeper.ts'
import { SwtpmError } from '../system/errors.ts'
import { isFault, sentenceOf } from '../system/fault.ts'
import { guarded } from '../system/guard.ts'
import { log } from '../system/log.ts'
import { PidFile } from '../system/process/pid-file.ts'
import { lookUpUser, type User } from '../system/process/users.ts'
import type { Tpm } from '../tpm/tpm.ts'
import type { CommonConfig, ScriptConfig, SwtpmConfig } from './config.ts'
import { COMMAND_BYTES } from './engine-options.ts'
import { leaveTpm, type OpenTpm, type OpenTpmOptions, openTpm, resumeTpm } from './open-tpm.ts'
import { RestRecord } from './rest/rest-record.ts'
import type { Bottom } from './scripting/open-bottom.ts'
import type { Scripting } from './scripting/scripting.ts'
import type { Plug } from './scripting/served-tpm-control.ts'
import type { Traces } from './trace/traces.ts'

/** What serves the TPM, besides this process. */
export interface SessionHost {
  /** What starts its engines; the caller's to close. It may serve other TPMs too. */
  readonly spawner: EngineSpawner
  /** The process that lasts as long as the TPM. */
  readonly pid: number
  /** Holds the lock on the state; this process without one. */
  readonly keeper?: Keeper
  /** The TPM is of use without a device: a program can expose it again. */
  readonly staysUnplugged?: boolean
  /** @see OpenTpmOptions.claimState */
  readonly claimState?: OpenTpmOptions['claimState']
}

/** How a TPM ended, as an exit code. */
export type ExitCode = number

type Cleanup = () => void | Promise<void>
/** Leaves to the next supervisor what it needs. @returns false while something is under way */
type Leave = (record: RestRecord) => boolean

export class Session {
  readonly tpm: Tpm
  /** Path of the device that it is served on, if it is one and known. */
  device: string | undefined
  /** What takes its device or socket away, and makes it again; undefined while there is none. */
  plug: Plug | undefined
  /** What answers in place of libtpms. */
  #bottom: Bottom | undefined
  /** Its scripts, where the user has asked for some. */
  script: Scripting | undefined
  /** Where what passes is written, where the user has asked for that. */
  traces: Traces | undefined
  readonly #config: SwtpmConfig
  readonly #host: SessionHost
  readonly #opened: OpenTpm
  readonly #cleanups: Cleanup[] = []
  readonly #leaves: Leave[] = []
  /** What the engine is asked for once it has been started. */
  readonly #engineSteps: (() => Promise<void>)[] = []
  /** Settles when the engine has been started and told what it has to know; undefined until it is needed. */
  #equipped: Promise<void> | undefined
  #resolveEnded!: (code: ExitCode) => void
  /** Resolves when everything has been undone. */
  readonly ended = new Promise<ExitCode>((resolve) => {
    this.#resolveEnded = resolve
  })
  #ending = false
  #failure: string | undefined

  private constructor(config: SwtpmConfig, host: SessionHost, opened: OpenTpm) {
    this.#config = config
    this.#host = host
    this.#opened = opened
    this.tpm = opened.tpm
  }

  /**
   * Opens the configured state, and starts the engine unless that starts late ({@link startsEngineLate}). Nothing is served yet, and
   * the TPM is powered on by {@link powerOn}.
   * @param root what will be our root directory later: the state's path is below it
   * @throws SwtpmError
   */
  static open(config: SwtpmConfig, host: SessionHost, root: string): Session {
    const opened = openTpm(config, host.spawner, {
      root,
      keeper: host.keeper,
      claimState: host.claimState,
      allowSetLocality: allowsSetLocality(config),
      createDirectory: config.interface === 'cuse',
    })
    const session = Session.#of(config, host, opened)
    if (!session.startsEngineLate) opened.engine.start()
    return session
  }

  /** Goes on with a TPM that an earlier supervisor has served. @throws SwtpmError */
  static resume(
    config: SwtpmConfig,
    host: SessionHost & { readonly keeper: Keeper },
    record: RestRecord,
  ): Session {
    const opened = resumeTpm(config, host.spawner, host.keeper, allowsSetLocality(config), record)
    const session = Session.#of(config, host, opened)
    session.#equipped = Promise.resolve()
    session.device = record.get<string | undefined>('device')
    return session
  }

  static #of(config: SwtpmConfig, host: SessionHost, opened: OpenTpm): Session {
    const { engine } = opened
    const session = new Session(config, host, opened)
    session.onRest((record) => {
      record.put('device', session.device)
      return leaveTpm(opened, record)
    })
    if (log.isEnabled(COMMAND_BYTES)) {
      engine.on('trace', (direction, _timeUs, bytes) =>
        log.dump(COMMAND_BYTES, direction === 'command' ? 'SWTPM_IO_Read:' : 'SWTPM_IO_Write:', bytes),
      )
    }
    engine.on('exit', (reason) => {
      if (session.#ending) return
      const started = engine.pid !== undefined
      log.error(
        started
          ? `The engine has ended unexpectedly: ${reason}`
          : `Cannot start the engine "${enginePath()}": ${reason}`,
      )
      guarded(
        session.end(1, started ? `the engine has ended: ${reason}` : `cannot start the engine: ${reason}`),
      )
    })
    session.onEnd(() => opened.close())
    return session
  }

  /**
   * The engine is started when a client first needs it, and not before: what has started this program may move it to another
   * control group first, and the engine is to be there too. Not for a new TPM with a profile: that it cannot be had is to be said
   * at once. A fleet stays where it is.
   */
  get startsEngineLate(): boolean {
    const { interface: iface, flags, profile, script } = this.#config
    return (
      this.#host.keeper !== undefined &&
      iface === 'socket' &&
      flags.needInit &&
      profile === undefined &&
      script === undefined
    )
  }

  /** Starts the engine and hands it its keys; if it starts late, the keys are read. @throws SwtpmError */
  async equipEngine(): Promise<void> {
    const { seedInsecure } = this.#config
    if (seedInsecure !== undefined)
      log.warn(
        `This TPM keeps no secrets: its keys and random numbers follow from --seed-insecure ${seedInsecure}, for tests`,
      )
    if (this.#config.script !== undefined) await this.#beginScript(this.#config.script)
    if (!this.startsEngineLate) return this.engineNeeded()
    this.#opened.readSecrets()
  }

  /**
   * Opens what is to answer in place of libtpms, once: before the root directory and the user change.
   * @param root what will be our root directory later
   * @throws SwtpmError
   */
  async openBottom(root: string): Promise<void> {
    const { script, tpmVersion } = this.#config
    if (script?.behind === undefined || this.#bottom !== undefined) return
    const { openBottom } = await import('./scripting/open-bottom.ts')
    this.#bottom = await openBottom(script, tpmVersion, root)
  }

  /** @throws SwtpmError: the engine cannot be started; RuleError */
  async #beginScript(config: ScriptConfig): Promise<void> {
    const { beginScript } = await import('./scripting/begin-script.ts')
    await this.openBottom('')
    const script = beginScript(this, config, this.#bottom)
    this.script = script
    script.faults.onStrike = (exchange, fault) => this.traces?.struck(exchange, fault)
    if (config.module !== undefined) {
      const { loadUserModule } = await import('./scripting/user-module.ts')
      await loadUserModule(config.module.path, script, this.#config.tpmVersion)
    }
    // Shown to it from the first one on.
    this.#engineSteps.push(() => this.script?.begin() ?? Promise.resolve())
  }

  /** Takes a step that needs the engine: now, or as soon as that has been started. @throws SwtpmError what the step throws now */
  async withEngine(step: () => Promise<void>): Promise<void> {
    if (this.#equipped === undefined) this.#engineSteps.push(step)
    else await step()
  }

  /** Somebody needs the engine. If it was to start late and cannot, the TPM ends. @throws SwtpmError */
  engineNeeded(): Promise<void> {
    this.#equipped ??= this.#startEngine()
    return this.#equipped
  }

  async #startEngine(): Promise<void> {
    try {
      this.goOn()
      await this.#opened.equip()
      for (const step of this.#engineSteps.splice(0)) await step()
    } catch (error) {
      if (this.startsEngineLate && !this.#ending) {
        log.error(sentenceOf(error))
        guarded(this.end(1))
      }
      throw error
    }
  }

  /** Loads what is needed after a change of the root directory, when it would not be found any more. */
  async loadParts(): Promise<void> {
    if (this.#config.script?.module !== undefined) await import('./scripting/import-module.ts')
    if (isTraced(this.#config)) await (await loadTraces()).Traces.load(this.#config)
  }

  /** Writes what passes between clients and TPM to files, where the user asked for it. @throws SwtpmError */
  async openTraces(): Promise<void> {
    if (!isTraced(this.#config)) return
    const { Traces } = await loadTraces()
    await this.openBottom('')
    const source = this.#bottom?.text ?? `swtpm ${this.#config.interface}`
    const traces = await Traces.open(this.#config, this.tpm.engine, source)
    this.traces = traces
    this.#endsLast(() => traces.close())
  }

  /** For what sees everything: powering the TPM off sends TPM2_Shutdown. */
  #endsLast(cleanup: () => void): void {
    if (this.#ending) cleanup()
    else this.#cleanups.unshift(cleanup)
  }

  /** A script has taken its device away for good. */
  unplugged(): void {
    if (!this.#host.staysUnplugged) guarded(this.end(0))
  }

  /** Adds something to be undone at the end; the last added goes first. At once, where the end has begun. */
  onEnd(cleanup: Cleanup): void {
    if (this.#ending) guarded(undo(cleanup))
    else this.#cleanups.push(cleanup)
  }

  /** Adds something to be left to the next supervisor; the last added goes first, as at the end. */
  onRest(leave: Leave): void {
    this.#leaves.push(leave)
  }

  /** What the next supervisor needs; undefined while something is under way. */
  leave(): RestRecord | undefined {
    if (this.#ending) return undefined
    if (this.#equipped === undefined) {
      // Its failure ends the TPM.
      this.engineNeeded().catch(() => {})
      return undefined
    }
    const record = RestRecord.begin()
    return [...this.#leaves].reverse().every((leave) => leave(record)) ? record : undefined
  }

  /** Writes the pid file, as soon as it may be believed. */
  writePidFile(): void {
    if (this.#config.pid !== undefined) this.#ownPidFile(PidFile.write(this.#config.pid, this.#host.pid))
  }

  resumePidFile(record: RestRecord): void {
    const path = record.get<string | undefined>('pidFile')
    if (path !== undefined) this.#ownPidFile(new PidFile(path))
  }

  #ownPidFile(file: PidFile): void {
    this.onEnd(() => file.remove())
    this.onRest((record) => {
      record.put('pidFile', file.path)
      if (file.path !== undefined) record.remove(file.path)
      return true
    })
  }

  /** There has been an INIT. */
  get hasBeenOn(): boolean {
    return this.tpm.hasBeenOn
  }

  /**
   * PTM INIT and Startup, as far as the flags ask for them.
   * @throws SwtpmError SWTPM_ERR_TPM_INIT, SWTPM_ERR_STATE_LOCKED, SWTPM_ERR_STATE_DIR, SWTPM_ERR_ENDED, SWTPM_ERR_SCRIPT
   */
  async powerOn(): Promise<void> {
    const { needInit, startup } = this.#config.flags
    if (needInit) {
      if (this.script?.needsTpm)
        throw new SwtpmError(
          'SWTPM_ERR_SCRIPT',
          'Cannot bring a mode about in a TPM that waits for its INIT: give --flags startup-clear or not-need-init',
        )
      return this.goOn()
    }
    if (startup === 'none') await this.tpm.powerOn(0)
    else await this.tpm.powerOnAndStartup(startup)
    if (this.script?.needsTpm) await this.script.bringAbout(startup !== 'none')
    this.goOn()
  }

  /**
   * For what takes several steps to start, after one that took time: what the next would use may have been closed.
   * @throws SwtpmError SWTPM_ERR_ENDED when this is about to end
   */
  goOn(): void {
    if (this.#ending) throw new SwtpmError('SWTPM_ERR_ENDED', 'It was told to end while it started')
  }

  /** Whether {@link end} has been called. */
  get ending(): boolean {
    return this.#ending
  }

  /** Why it ended, where that was not asked for. */
  get failure(): string | undefined {
    return this.#failure
  }

  /**
   * Ends in order, once: no new clients, TPM off, state stored, engine gone, files removed.
   * @param failure why, if the end was not asked for
   */
  async end(code: ExitCode, failure?: string): Promise<void> {
    if (this.#ending) return
    this.#ending = true
    this.#failure = failure
    for (const cleanup of this.#cleanups.splice(0).reverse()) await undo(cleanup)
    this.#resolveEnded(code)
  }

  /** Has an {@link end} that is under way not wait for the engine, which is killed. */
  hurry(): void {
    if (this.#ending) this.tpm.engine.kill()
  }

  /** What SIGUSR2 asks for: libtpms, or the engine itself, has been updated. */
  async replaceEngine(): Promise<void> {
    // The first engine will be of the program that is there then.
    if (this.#ending || !this.tpm.engine.started) return
    try {
      const before = this.tpm.engine.pid
      await this.tpm.engine.replace()
      log.info(`The engine (process ${before}) has been replaced by process ${this.tpm.engine.pid}`)
    } catch (error) {
      if (!isFault(error)) throw error
      log.error(`Cannot replace the engine: ${sentenceOf(error)}`)
    }
  }
}

/** What cannot be undone keeps nothing else from being undone. */
async function undo(cleanup: Cleanup): Promise<void> {
  try {
    await cleanup()
  } catch (error) {
    log.error(sentenceOf(error))
  }
}

const loadTraces = () => import('./trace/traces.ts')

const isTraced = ({ trace, record, pcap }: CommonConfig): boolean =>
  trace !== undefined || record !== undefined || pcap !== undefined

/** The kernel's vTPM proxy driver speaks through SetLocality; others only where the user says so. */
const allowsSetLocality = (config: SwtpmConfig): boolean =>
  config.allowSetLocality || (config.interface === 'chardev' && config.device.kind === 'vtpm-proxy')

/** The user that --runas names; undefined without it. */
export const runAsUser = ({ runAs }: Pick<CommonConfig, 'runAs'>): User | undefined =>
  runAs === undefined ? undefined : lookUpUser(runAs)
