/**
 * Reads exchanges from lines: a .tpmrec, the log of swtpm at level 20 (ours, the C program's or libtpms's), or hex digits. Lines of
 * other kinds may be between them.
 *
 *     {"tpmrec":1,"version":"2"}                           a recording: tpmrec.ts
 *     {"t":1.2,"l":0,"c":"8001…","r":"8001…","d":0.01}
 *
 *     SWTPM_IO_Read: length 12                             a log
 *      80 01 00 00 00 0C 00 00 01 44 00 00
 *
 *     {"watch":1,"command":"8001…","response":"8001…",…}   what a script socket tells who watches
 *
 *     80010000000c000001440000                             hex digits: a command, then its response; > and < before them say which
 */
import type { TracedExchange } from '../tpm-structures/exchange-text.ts'
import { MAX_MESSAGE_BYTES } from '../tpm-structures/message.ts'
import type { RecordedMessage } from './pairing.ts'
import {
  isRecordingHeader,
  type RecordingAuth,
  type RecordingHeader,
  readAuthLine,
  readRecordingLine,
} from './tpmrec.ts'
import { isWatched, readWatched } from './watched.ts'

/** A command and a response in hex digits, and some words. */
const MAX_LINE_CHARACTERS = 4 * MAX_MESSAGE_BYTES + 4096
const DUMP = /TPM_IO_(Read|Write):? +length:? *(\d+)/
/** A line of a dump, behind what a log puts before each line. */
const DUMP_LINE = /(?:^|[\s\]:])((?:[0-9a-f]{2} ){0,15}[0-9a-f]{2}) *$/i
const HEX_LINE = /^\s*(?:([<>])|(command|cmd|request|response|rsp)\b:?)?\s*(?:0x)?((?:[0-9a-f]{2}[\s:]*)+)$/i

interface Dump {
  readonly direction: 'command' | 'response'
  readonly length: number
  readonly parts: Buffer[]
  got: number
}

export type Said = (line: RecordingHeader | RecordingAuth) => void

export class TextReader {
  readonly #note: (problem: string) => void
  readonly #said: Said
  #left = ''
  #skipping = false
  #dump: Dump | undefined
  #isLog = false
  #line = 0

  /** @param said told of the lines of a recording that are no exchanges */
  constructor(note: (problem: string) => void, said: Said = () => {}) {
    this.#note = note
    this.#said = said
  }

  *read(piece: Buffer): Generator<RecordedMessage | TracedExchange> {
    this.#left += piece.toString('latin1')
    for (let end = this.#left.indexOf('\n'); end >= 0; end = this.#left.indexOf('\n')) {
      const line = this.#left.slice(0, end)
      this.#left = this.#left.slice(end + 1)
      if (!this.#skipping) yield* this.#take(line)
      this.#skipping = false
    }
    if (this.#left.length > MAX_LINE_CHARACTERS) {
      if (!this.#skipping) this.#note(`line ${this.#line + 1} is too long`)
      this.#skipping = true
      this.#left = ''
    }
  }

  *end(rest?: Buffer): Generator<RecordedMessage | TracedExchange> {
    if (rest !== undefined) yield* this.read(rest)
    if (this.#left !== '' && !this.#skipping) yield* this.#take(this.#left)
    if (this.#dump !== undefined) this.#note(`the log ends within a dump of ${this.#dump.length} bytes`)
  }

  *#take(text: string): Generator<RecordedMessage | TracedExchange> {
    this.#line++
    const line = text.trimEnd()
    if (line.startsWith('{')) yield* this.#json(line)
    else yield* this.#plain(line, undefined)
  }

  *#plain(line: string, at: number | undefined): Generator<RecordedMessage> {
    const [, kind, length] = DUMP.exec(line) ?? []
    if (kind !== undefined) {
      this.#isLog = true
      this.#begin(kind === 'Read' ? 'command' : 'response', Number(length))
    } else if (this.#dump !== undefined) yield* this.#dumpLine(line, at)
    else if (!this.#isLog) yield* this.#hex(line)
  }

  #begin(direction: 'command' | 'response', length: number): void {
    if (this.#dump !== undefined)
      this.#note(`line ${this.#line}: a dump has ended before its ${this.#dump.length} bytes`)
    this.#dump = length > MAX_MESSAGE_BYTES ? undefined : { direction, length, parts: [], got: 0 }
  }

  /** Other lines may be between those of a dump. */
  *#dumpLine(line: string, at: number | undefined): Generator<RecordedMessage> {
    const dump = this.#dump!
    const [, digits] = DUMP_LINE.exec(line) ?? []
    if (digits === undefined) return
    const bytes = Buffer.from(digits.replaceAll(' ', ''), 'hex')
    // A dump's lines are 16 bytes each but the last: a line of words that ends like digits is none.
    if (bytes.length !== Math.min(16, dump.length - dump.got)) return
    dump.parts.push(bytes)
    dump.got += bytes.length
    if (dump.got < dump.length) return
    this.#dump = undefined
    yield { direction: dump.direction, bytes: Buffer.concat(dump.parts), at }
  }

  *#hex(line: string): Generator<RecordedMessage> {
    if (line.trim() === '' || line.trimStart().startsWith('#')) return
    const [, mark, word, digits] = HEX_LINE.exec(line) ?? []
    if (digits === undefined) {
      this.#note(`line ${this.#line} is neither hex digits nor anything else that is known`)
      return
    }
    const said = (mark ?? word)?.toLowerCase()
    const direction =
      said === undefined
        ? undefined
        : said === '<' || (said.startsWith('r') && said !== 'request')
          ? 'response'
          : 'command'
    yield { direction, bytes: Buffer.from(digits.replaceAll(/[\s:]/g, ''), 'hex'), at: undefined }
  }

  *#json(line: string): Generator<TracedExchange | RecordedMessage> {
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch {
      this.#note(`line ${this.#line} is no JSON`)
      return
    }
    if (isRecordingHeader(value)) {
      this.#said(value)
      return
    }
    const auth = readAuthLine(value)
    if (auth !== undefined) {
      if (typeof auth === 'string') this.#note(`line ${this.#line}: ${auth}`)
      else this.#said(auth)
      return
    }
    const said = logLine(value)
    if (said !== undefined) {
      yield* this.#plain(said.text, said.at)
      return
    }
    const read = isWatched(value) ? readWatched(value) : readRecordingLine(value)
    if (typeof read === 'string') this.#note(`line ${this.#line}: ${read}`)
    else yield read
  }
}

/** A line of a log in JSON (`--log format=json`). */
function logLine(value: unknown): { text: string; at: number | undefined } | undefined {
  const { msg, time } = value as Record<string, unknown>
  if (typeof msg !== 'string') return undefined
  const ms = typeof time === 'string' ? Date.parse(time) : time
  return { text: msg, at: typeof ms === 'number' && Number.isFinite(ms) ? ms / 1000 : undefined }
}
