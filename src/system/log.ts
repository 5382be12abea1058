/**
 * The log of swtpm: one for the process, as there is one `--log`.
 *
 * Lines look as the reference prints them: the prefix and the message, nothing more. With format=json pino's own lines are
 * written instead, with time, level and process id. Both go through pino, which is loaded when the first line is due: a TPM
 * that has nothing to report does not pay for it.
 *
 * Levels are the reference's. A message of level n is written when `--log level=` is n or higher, and is indented by n - 1
 * spaces. Errors, warnings and notices have level 1, the bytes of control and TPM commands level 2; from level 5 on libtpms
 * logs by itself. Keys, passphrases and state never get here; the bytes of TPM commands, which level 2 shows on request, may
 * hold authorization values.
 * @see swtpm(8) --log
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Logger } from 'pino'
import {
  closeDestination,
  type LogDestination,
  type LogTarget,
  openDestination,
  stderrDestination,
  writeLine,
} from './log-destination.ts'

export interface LogConfig {
  readonly destination: LogTarget
  /** 1 and up; from 5 on libtpms logs too, at `level - 4`. */
  readonly level: number
  /** In front of every line; may be empty. */
  readonly prefix: string
  readonly format: 'text' | 'json'
}

/** In front of the lines of a swtpm that was started without `--log`. */
export const DEFAULT_LOG_PREFIX = 'swtpm: '

/** Level of errors, warnings and notices. */
const PLAIN = 1
const BYTES_PER_LINE = 16

/** pino hands the message as it is to a stream that has this property, instead of having it parse the JSON again. */
const METADATA = Symbol.for('pino.metadata')

type Severity = 'error' | 'warn' | 'info' | 'debug'

class Log {
  #config: Omit<LogConfig, 'destination'> = { level: PLAIN, prefix: DEFAULT_LOG_PREFIX, format: 'text' }
  #destination: LogDestination = stderrDestination
  #pino: Logger | undefined
  /** Whose lines are written at the moment. */
  #speaker: AsyncLocalStorage<string> | undefined

  /**
   * Opens the log that was asked for; until then lines go to standard error.
   * @throws {SwtpmError} SWTPM_ERR_LOG; the log stays where it was
   */
  configure(config: LogConfig): void {
    const destination = openDestination(config.destination)
    closeDestination(this.#destination)
    this.#destination = destination
    this.#config = config
    this.#pino = undefined
  }

  /** Where the lines go; a child may have it as standard error. /dev/null when there is no log. */
  get fd(): number {
    return this.#destination.fd
  }

  get level(): number {
    return this.#config.level
  }

  get prefix(): string {
    return this.#config.prefix
  }

  /**
   * Whatever `work` logs, now and from then on in what it has set going, is told to be of `name`: in front of the line, or
   * as `tpm` in JSON.
   */
  of<T>(name: string, work: () => T): T {
    this.#speaker ??= new AsyncLocalStorage()
    return this.#speaker.run(name, work)
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

  /** A message from elsewhere, an engine for one, that comes with its level. */
  line(level: number, message: string): void {
    if (level <= PLAIN) this.info(message)
    else this.debug(level, message)
  }

  /** Whether a message of this level would be written, for callers that must work to make one. */
  isEnabled(level: number): boolean {
    return level <= this.#config.level && !this.#destination.silent
  }

  /** Bytes as the reference prints them: a line with the length, then sixteen to a line. */
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
    this.#pino ??= this.#open()
    const text = message.endsWith('\n') ? message.slice(0, -1) : message
    const tpm = this.#speaker?.getStore()
    if (this.#config.format === 'json') this.#pino[severity]({ verbosity: level, ...(tpm && { tpm }) }, text)
    else this.#pino[severity](`${tpm ? `${tpm}: ` : ''}${' '.repeat(level - 1)}${text}`)
  }

  #open(): Logger {
    const { pino }: typeof import('pino') = require('pino')
    const { prefix, format } = this.#config
    const { fd } = this.#destination
    if (format === 'json') {
      const base = { pid: process.pid, ...(prefix === '' ? {} : { prefix }) }
      const options = { level: 'debug', base, timestamp: pino.stdTimeFunctions.isoTime }
      return pino(options, { write: (line) => writeLine(fd, line) })
    }
    const lines = {
      [METADATA]: true,
      lastMsg: '',
      write(): void {
        writeLine(fd, `${prefix}${this.lastMsg}\n`)
      },
    }
    return pino({ level: 'debug', base: null, timestamp: false }, lines)
  }
}

function toHex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0')
}

export type { Log }

/** The log of this process. */
export const log = new Log()
