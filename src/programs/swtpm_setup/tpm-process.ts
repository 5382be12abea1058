/**
 * A running swtpm for the time of a setup: started with its data and control connections on inherited descriptors, which
 * Node makes of a `pipe` in stdio, told to shut down at the end, killed when it does not.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { Outcome, Request, VerbName } from '../../../contract/verbs.ts'
import { nodeStream } from '../../ptm-client/byte-stream.ts'
import { SocketClient } from '../../ptm-client/socket-client.ts'
import { SocketConnection } from '../../ptm-client/socket-connection.ts'
import { reasonOf } from '../../system/reason.ts'
import { namedVerbResult } from '../../tpm-structures/result-codes.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { ToolLog } from '../common/tool-log.ts'
import { DataChannel } from './data-channel.ts'
import type { TpmCommandLine } from './tpm-command-line.ts'
import { waits } from './waits.ts'

const SERVER_FD = 3
const CONTROL_FD = 4
const FIRST_PASSED_FD = 5

/** For a program that has closed its connections to end. */
const ENDING_MS = 1000
/** The C swtpm may ignore SIGTERM when its client has gone. */
const TERMINATION_TIMEOUT_MS = 5000

const INFO_TPM_SPECIFICATION = 1
const INFO_TPM_ATTRIBUTES = 2
const INFO_ACTIVE_PROFILE = 32

/** A descriptor that swtpm shall inherit, and the option that names its number there. */
export interface PassedFd {
  readonly fd: number
  option(number: number): readonly string[]
}

export interface TpmProcessOptions {
  readonly command: TpmCommandLine
  readonly tpm2: boolean
  /** With its scheme: dir:// or file://. */
  readonly stateUri: string
  readonly args: readonly string[]
  readonly passedFds: readonly PassedFd[]
  readonly log: Pick<ToolLog, 'file' | 'quiet'>
}

export class TpmProcess {
  readonly #options: TpmProcessOptions
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  readonly #waits = waits()
  readonly #data: DataChannel
  readonly #control: SocketClient

  private constructor(child: ChildProcess, options: TpmProcessOptions) {
    this.#options = options
    this.#child = child
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()))
    // That it cannot be killed.
    child.on('error', () => {})
    this.#data = new DataChannel(connectionTo(child, SERVER_FD), this.#waits)
    this.#control = new SocketClient(connectionTo(child, CONTROL_FD), this.#waits.answer)
  }

  /** Starts swtpm; {@link ready} says when its TPM can be used. @throws ToolFailure */
  static async start(options: TpmProcessOptions): Promise<TpmProcess> {
    const { file, quiet } = options.log
    const errors = file === undefined ? 'inherit' : 'ignore'
    const [program, ...words] = options.command.words
    const child = spawn(program, [...words, ...swtpmArguments(options)], {
      stdio: [
        'ignore',
        quiet ? 'ignore' : errors,
        errors,
        'pipe',
        'pipe',
        ...options.passedFds.map(({ fd }) => fd),
      ],
    })
    try {
      await once(child, 'spawn')
    } catch (error) {
      throw new ToolFailure(`Could not start the TPM with ${program}: ${reasonOf(error)}`, { cause: error })
    }
    return new TpmProcess(child, options)
  }

  /**
   * Waits for the first answer on the control connection, which says that swtpm is there and its TPM runs.
   * @throws ToolFailure when swtpm does not come up
   */
  async ready(): Promise<void> {
    const { command, log } = this.#options
    try {
      const extraTime = this.#waits.start - this.#waits.answer
      await this.#control.call('GET_CAPABILITY', {}, extraTime)
    } catch (error) {
      await Promise.race([this.#exited, delay(ENDING_MS)])
      await this.kill()
      const { exitCode } = this.#child
      const reason =
        exitCode === null || exitCode === 0 ? reasonOf(error) : `it ended with status ${exitCode}`
      const more = log.file === undefined ? '' : `; ${log.file} may say more`
      throw new ToolFailure(`Could not start the TPM with ${command.program}: ${reason}${more}`, {
        cause: error,
      })
    }
  }

  /**
   * Ends swtpm without finishing what it does; after this it writes no more state. A swtpm that is not asked first but
   * killed may leave an engine that still stores.
   */
  async kill(): Promise<void> {
    this.#child.kill('SIGTERM')
    await this.#end(TERMINATION_TIMEOUT_MS)
  }

  /**
   * Sends a TPM command and returns its response, or what `decode` makes of it.
   * @throws ToolFailure naming the command when the TPM answers with an error or not at all
   */
  transmit<T = Buffer>(name: string, command: Buffer, decode?: (response: Buffer) => T): Promise<T> {
    return this.#data.transmit(name, command, decode)
  }

  /** The specification and the attributes of the TPM, as swtpm's JSON. */
  async specificationAndAttributes(): Promise<string> {
    return await this.#info(INFO_TPM_SPECIFICATION | INFO_TPM_ATTRIBUTES)
  }

  /** The profile that the TPM has; undefined when it has none. */
  async activeProfile(): Promise<unknown> {
    const text = await this.#info(INFO_ACTIVE_PROFILE)
    try {
      return (JSON.parse(text) as { ActiveProfile?: unknown } | null)?.ActiveProfile
    } catch (cause) {
      throw new ToolFailure(`PTM_GET_INFO failed: swtpm's answer is no JSON: "${text}"`, { cause })
    }
  }

  async #info(flags: number): Promise<string> {
    const info = await this.#verb('GET_INFO', { flags: BigInt(flags), offset: 0, pad: 0 })
    if (!('buffer' in info)) throw new ToolFailure(`PTM_GET_INFO failed: ${namedVerbResult(info.tpmResult)}`)
    return info.buffer.toString().replace(/\0+$/, '')
  }

  /**
   * Ends swtpm; what it holds of the TPM is in its state files then.
   * @throws ToolFailure when it does not end in order
   */
  async finish(): Promise<void> {
    await this.stop()
    const { exitCode, signalCode } = this.#child
    if (exitCode === 0) return
    const end = exitCode === null ? `signal ${signalCode}` : `status ${exitCode}`
    throw new ToolFailure(`${this.#options.command.program} did not end in order when told to: ${end}`)
  }

  /** Ends swtpm, by force if need be. */
  async stop(): Promise<void> {
    await this.#control.call('SHUTDOWN', {}).catch(() => {})
    await this.#end(this.#waits.end)
  }

  async #end(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs)
    await this.#exited
    clearTimeout(timer)
    this.#data.close()
    this.#control.close()
  }

  /** @throws ToolFailure when there is no answer */
  async #verb<V extends VerbName>(verb: V, request: Request<V>): Promise<Outcome<V>> {
    try {
      return await this.#control.call(verb, request)
    } catch (error) {
      throw new ToolFailure(reasonOf(error), { cause: error })
    }
  }
}

const connectionTo = (child: ChildProcess, fd: number): SocketConnection =>
  new SocketConnection(nodeStream(child.stdio[fd] as Duplex), 'swtpm')

function swtpmArguments(options: TpmProcessOptions): string[] {
  const args = ['--flags', 'not-need-init,startup-clear', '--tpmstate', `backend-uri=${options.stateUri}`]
  if (options.tpm2) args.push('--tpm2')
  args.push(...options.args)
  options.passedFds.forEach((passed, index) => {
    args.push(...passed.option(FIRST_PASSED_FD + index))
  })
  if (options.log.file !== undefined) args.push('--log', `file=${options.log.file}`)
  return [...args, '--server', `type=tcp,fd=${SERVER_FD}`, '--ctrl', `type=unixio,clientfd=${CONTROL_FD}`]
}
