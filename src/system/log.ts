/**
 * The log of swtpm: one for the process, as there is one `--log`.
 *
 * Lines look as the reference prints them: the prefix and the message, nothing more; for journald their priority is before them. With format=json they are pino's own
 * lines, with time, level and process id; pino is loaded for them alone.
 *
 * Levels are the reference's. A message of level n is written when `--log level=` is n or higher, and is indented by n - 1
 * spaces. Errors, warnings and notices have level 1, the bytes of control and TPM commands level 2; from level 5 on libtpms
 * logs as well. Keys, passphrases and state are never logged. The bytes of TPM commands, logged from level 2 on, may hold
 * authorization values.
 * @see swtpm(8) --log
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { journalPriority } from './journal.ts'
import type { JsonLog } from './json-log.ts'
import {
  closeDestination,
  isStderr,
  type LogDestination,
  type LogTarget,
  openDestination,
  STDERR,
  stderrDestination,
  writeLine,
} from './log-destination.ts'

export interface LogConfig {
  readonly destination: LogTarget
  /** 1 and up; from 5 on, libtpms logs as well, at `level - 4`. */
  readonly level: number
  /** Put in front of every line; may be empty. */
  readonly prefix: string
  readonly format: 'text' | 'json'
  /** Warnings and errors alone. */
  readonly problemsOnly?: boolean
}

/** The prefix without `--log`. */
export const DEFAULT_LOG_PREFIX = 'swtpm: '

/** Level of errors, warnings and notices. */
const PLAIN = 1
const BYTES_PER_LINE = 16

type Severity = 'error' | 'warn' | 'info' | 'debug'

class Log {
  #config: Omit<LogConfig, 'destination'> = { level: PLAIN, prefix: DEFAULT_LOG_PREFIX, format: 'text' }
  #destination: LogDestination = stderrDestination
  #json: JsonLog | undefined
  #configured = false
  /** Whether errors go to standard error as well. */
  #echo = true
  /** The name of the TPM that the lines of the current async context are about. */
  #tpmName: AsyncLocalStorage<string> | undefined

  /**
   * Opens the configured log. Before this call, lines go to standard error.
   * @throws {SwtpmError} SWTPM_ERR_LOG; the log stays where it was
   */
  configure(config: LogConfig): void {
    const destination = openDestination(config.destination)
    this.#configured = true
    closeDestination(this.#destination)
    this.#destination = destination
    this.#configureLines(config)
  }

  /**
   * Goes on with the log that another process of this program has opened.
   * @param fd its descriptor, which becomes ours; undefined: standard error
   */
  resume({ destination, ...config }: LogConfig, fd: number | undefined): void {
    this.#configured = true
    this.#echo = false
    if (fd !== undefined) this.#destination = { fd, silent: destination.kind === 'none', owned: true }
    this.#configureLines(config)
  }

  /**
   * Until this call, errors go to standard error too, whatever the log is (but for `file=-`, by which the user asks for
   * silence): a program that starts another one shows what is there when the start fails.
   */
  startSucceeded(): void {
    this.#echo = false
  }

  /** Whether {@link configure} has opened a log. */
  get configured(): boolean {
    return this.#configured
  }

  /** The descriptor of the log, which a child may get as standard error. /dev/null when there is no log. */
  get fd(): number {
    return this.#destination.fd
  }

  /**
   * Runs `work`. The lines that it logs, now or later in callbacks that it has started, carry `name`: before the message, or
   * as `tpm` in JSON.
   */
  of<T>(name: string, work: () => T): T {
    this.#tpmName ??= new AsyncLocalStorage()
    return this.#tpmName.run(name, work)
  }

  error(message: string): void {
    this.#write('error', PLAIN, message)
  }

  warn(message: string): void {
    this.#write('warn', PLAIN, message)
  }

  info(message: string): void {
    this.#write('info', PLAIN, message)
  }

  /** A message of level 2 or higher. */
  debug(level: number, message: string): void {
    this.#write('debug', level, message)
  }

  /** Whether a message of this level is written. For callers for which a message is work. */
  isEnabled(level: number): boolean {
    return level <= this.#config.level && !this.#destination.silent
  }

  /** Bytes as the reference prints them: a line with the length, then sixteen bytes a line. */
  dump(level: number, title: string, bytes: Uint8Array): void {
    if (!this.isEnabled(level)) return
    this.debug(level, `${title} length ${bytes.length}`)
    for (let at = 0; at < bytes.length; at += BYTES_PER_LINE) {
      const line = Array.from(bytes.subarray(at, at + BYTES_PER_LINE), toHex).join(' ')
      this.debug(level, `${line} `)
    }
  }

  #write(severity: Severity, level: number, message: string): void {
    if (!this.isEnabled(level)) return
    if (this.#config.problemsOnly && severity !== 'error' && severity !== 'warn') return
    const text = message.endsWith('\n') ? message.slice(0, -1) : message
    const tpm = this.#tpmName?.getStore()
    const name = tpm ? `${tpm}: ` : ''
    if (severity === 'error' && this.#echo && !isStderr(this.#destination.fd))
      writeLine(STDERR, `${journalPriority(STDERR, 'error')}${DEFAULT_LOG_PREFIX}${name}${text}\n`)
    const { fd } = this.#destination
    if (this.#json !== undefined) this.#json[severity]({ verbosity: level, ...(tpm && { tpm }) }, text)
    else
      writeLine(
        fd,
        `${journalPriority(fd, severity)}${this.#config.prefix}${name}${' '.repeat(level - 1)}${text}\n`,
      )
  }

  /** At once, not for the first line: that may be written when the installation is out of sight, outside a new root directory. */
  #configureLines(config: Omit<LogConfig, 'destination'>): void {
    this.#config = config
    this.#json = undefined
    if (config.format !== 'json') return
    const { openJsonLog }: typeof import('./json-log.ts') = require('./json-log.ts')
    this.#json = openJsonLog(this.#destination.fd, config.prefix)
  }
}

function toHex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0')
}

export type { Log }

/** The log of this process. */
export const log = new Log()
