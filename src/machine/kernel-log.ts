/** The kernel's log as it comes from /dev/kmsg. @see Documentation/ABI/testing/dev-kmsg */

export interface LogRecord {
  readonly sequence: number
  /** µs since the kernel began. */
  readonly timeUs: number
  /** 0 (emergency) to 7 (debug). */
  readonly level: number
  /** Written by the kernel itself, not by a program through /dev/kmsg. */
  readonly isKernel: boolean
  readonly text: string
}

/** Facility 0 of syslog. */
const KERNEL = 0
const RECORD = /^(\d+),(\d+),(\d+),[^;]*;(.*)$/

/** Reads the stream of records. The guest may read its log again from the beginning: each record is given once. */
export class KernelLog {
  #partial = ''
  #next = 0
  readonly #take: (record: LogRecord) => void

  constructor(take: (record: LogRecord) => void) {
    this.#take = take
  }

  add(chunk: Buffer): void {
    const lines = (this.#partial + chunk.toString('latin1')).split('\n')
    this.#partial = lines.pop() ?? ''
    for (const line of lines) {
      // Lines that begin with a blank belong to a record's dictionary.
      const [, prefix, sequence, time, text] = RECORD.exec(line.replace(/\r$/, '')) ?? []
      if (prefix === undefined || Number(sequence) < this.#next) continue
      this.#next = Number(sequence) + 1
      this.#take({
        sequence: Number(sequence),
        timeUs: Number(time),
        level: Number(prefix) & 7,
        isKernel: Number(prefix) >> 3 === KERNEL,
        text: unescaped(text ?? ''),
      })
    }
  }
}

/** Bytes that are not printable come as \x0a. */
const unescaped = (text: string): string =>
  Buffer.from(
    text.replace(/\\x([0-9a-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8')

/** As dmesg(1) prints it. */
export const logLine = ({ timeUs, text }: LogRecord): string =>
  `[${(timeUs / 1e6).toFixed(6).padStart(12)}] ${text}\n`
