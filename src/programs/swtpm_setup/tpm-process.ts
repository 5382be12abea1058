/**
 * A running swtpm for the time of a setup: started with its data and control connections on inherited descriptors, which
 * Node makes of a `pipe` in stdio, told to shut down at the end, killed when it does not.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Duplex } from 'node:stream'
import { reasonOf } from '../../system/reason.ts'
import { u32 } from '../../tpm-commands/bytes.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { FramedChannel } from './framed-channel.ts'
import type { TpmCommandLine } from './tpm-command-line.ts'

const SERVER_FD = 3
const CONTROL_FD = 4
const FIRST_PASSED_FD = 5

// Enough for an RSA-4096 key on a machine that is busy elsewhere: a limit for what hangs, not for what is slow.
const COMMAND_TIMEOUT_MS = 120_000
const CONTROL_TIMEOUT_MS = 30_000
const EXIT_TIMEOUT_MS = 10_000
/** The C swtpm may ignore SIGTERM when its client has gone. */
const TERMINATION_TIMEOUT_MS = 5000

const CMD_GET_CAPABILITY = 1
const CMD_SHUTDOWN = 3
const CMD_GET_INFO = 0x12
const INFO_TPM_SPECIFICATION = 1
const INFO_TPM_ATTRIBUTES = 2
export const INFO_ACTIVE_PROFILE = 32

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
  readonly logFile: string | undefined
}

export class TpmProcess {
  readonly #options: TpmProcessOptions
  readonly #child: ChildProcess
  /** Rejects when the program cannot be started. */
  readonly #failed: Promise<never>
  readonly #exited: Promise<void>
  readonly #data: FramedChannel
  readonly #control: FramedChannel

  private constructor(child: ChildProcess, options: TpmProcessOptions) {
    this.#options = options
    this.#child = child
    this.#failed = new Promise((_, reject) => child.once('error', reject))
    this.#failed.catch(() => {})
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => resolve())
      child.once('error', () => resolve())
    })
    this.#data = new FramedChannel(child.stdio[SERVER_FD] as Duplex)
    this.#control = new FramedChannel(child.stdio[CONTROL_FD] as Duplex)
  }

  /** Starts swtpm; {@link ready} says when its TPM can be used. */
  static start(options: TpmProcessOptions): TpmProcess {
    const output = options.logFile === undefined ? 'inherit' : 'ignore'
    const [program, ...words] = options.command.words
    const child = spawn(program, [...words, ...swtpmArguments(options)], {
      stdio: ['ignore', output, output, 'pipe', 'pipe', ...options.passedFds.map(({ fd }) => fd)],
    })
    return new TpmProcess(child, options)
  }

  /**
   * Waits for the first answer on the control connection, which says that swtpm is there and its TPM runs.
   * @throws ToolFailure when swtpm does not come up
   */
  async ready(): Promise<void> {
    const { command, logFile } = this.#options
    try {
      await Promise.race([this.#controlCommand(u32(CMD_GET_CAPABILITY), () => 8), this.#failed])
    } catch (error) {
      await this.stop()
      const { exitCode } = this.#child
      const reason =
        exitCode === null || exitCode === 0 ? reasonOf(error) : `it ended with status ${exitCode}`
      const more = logFile === undefined ? '' : `; ${logFile} may say more`
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
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), TERMINATION_TIMEOUT_MS)
    await this.#exited
    clearTimeout(timer)
  }

  /**
   * Sends a TPM command and returns its response.
   * @throws ToolFailure naming the command when the TPM answers with an error or not at all
   */
  async transmit(name: string, command: Buffer): Promise<Buffer> {
    let response: Buffer
    try {
      response = await this.#data.exchange(command, tpmResponseLength, COMMAND_TIMEOUT_MS)
    } catch (error) {
      throw new ToolFailure(`${name} failed: ${reasonOf(error)}`, { cause: error })
    }
    const code = response.readUInt32BE(6)
    if (code !== 0) throw new ToolFailure(`${name} failed: 0x${code.toString(16)}`)
    return response
  }

  /** The specification and the attributes of the TPM, as swtpm's JSON. */
  async specificationAndAttributes(): Promise<string> {
    return await this.info(INFO_TPM_SPECIFICATION | INFO_TPM_ATTRIBUTES)
  }

  async info(flags: number): Promise<string> {
    const request = Buffer.concat([u32(CMD_GET_INFO), u32(0), u32(flags), u32(0), u32(0)])
    // result, total length, length here, JSON; on an error the result alone
    const reply = await this.#controlCommand(request, (received) => {
      if (received.length < 4) return undefined
      if (received.readUInt32BE(0) !== 0) return 4
      return received.length < 12 ? undefined : 12 + received.readUInt32BE(8)
    })
    return reply.toString('utf8', 12).replace(/\0+$/, '')
  }

  /** Ends swtpm; what it holds of the TPM is in its state files by then. */
  async stop(): Promise<void> {
    if (this.#child.pid !== undefined) {
      await this.#controlCommand(u32(CMD_SHUTDOWN), () => 4).catch(() => {})
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), EXIT_TIMEOUT_MS)
      await this.#exited
      clearTimeout(timer)
    }
    this.#data.destroy()
    this.#control.destroy()
  }

  async #controlCommand(request: Buffer, length: (received: Buffer) => number | undefined): Promise<Buffer> {
    const reply = await this.#control.exchange(
      request,
      (received) => (received.length < 4 ? undefined : received.readUInt32BE(0) !== 0 ? 4 : length(received)),
      CONTROL_TIMEOUT_MS,
    )
    const result = reply.readUInt32BE(0)
    if (result !== 0) {
      throw new ToolFailure(
        `swtpm refused control command ${request.readUInt32BE(0)}: 0x${result.toString(16)}`,
      )
    }
    return reply
  }
}

function swtpmArguments(options: TpmProcessOptions): string[] {
  const args = ['--flags', 'not-need-init,startup-clear', '--tpmstate', `backend-uri=${options.stateUri}`]
  if (options.tpm2) args.push('--tpm2')
  args.push(...options.args)
  options.passedFds.forEach((passed, index) => {
    args.push(...passed.option(FIRST_PASSED_FD + index))
  })
  if (options.logFile !== undefined) args.push('--log', `file=${options.logFile}`)
  return [...args, '--server', `type=tcp,fd=${SERVER_FD}`, '--ctrl', `type=unixio,clientfd=${CONTROL_FD}`]
}

/** A TPM response's header: tag, whole size, response code. */
function tpmResponseLength(received: Buffer): number | undefined {
  return received.length < 10 ? undefined : Math.max(10, received.readUInt32BE(2))
}
