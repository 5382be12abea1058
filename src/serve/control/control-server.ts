/**
 * The control channel: PTM verbs big-endian over a Unix or TCP socket, one client at a time.
 *
 * A client gets one answer per command, in order. On error the answer is the 4-byte result and nothing more, unless the
 * verb's row says otherwise. A command must arrive whole within 500 ms or the connection is closed; no other client waits
 * meanwhile.
 * @see swtpm_ioctls(3)
 */
import { closeSync } from 'node:fs'
import { BIG } from '../../../contract/struct.ts'
import { TPM_BAD_ORDINAL, TPM_BAD_PARAMETER, TPM_IOERROR, TPM_SUCCESS } from '../../../contract/tpm-result.ts'
import { ptmRes } from '../../../contract/verb-structures.ts'
import {
  capabilities,
  controlCode,
  type Request,
  VERBS,
  type Verb,
  type VerbName,
} from '../../../contract/verbs.ts'
import { isFault, sentenceOf } from '../../system/fault.ts'
import { guarded } from '../../system/guard.ts'
import { DescriptorSocket } from '../../system/io/descriptor-socket.ts'
import { Listener } from '../../system/io/listener.ts'
import { log } from '../../system/log.ts'
import { RateLimit } from '../../system/rate-limit.ts'
import type { Tpm } from '../../tpm/tpm.ts'
import { execute, type HandledVerb } from '../../tpm/verb-handlers.ts'
import { type ControlCommand, parseControlCommand } from './control-framing.ts'

const CODE_BYTES = 4
const SET_DATAFD = controlCode('SET_DATAFD')
const COMMAND_TIMEOUT_MS = 500
/** How often an unknown command is told of. */
const UNKNOWN_RATE = { burst: 20, perSecond: 1 }
/** Of commands that wait for the answer of one before them. Then their client waits. */
const MAX_WAITING_BYTES = 64 * 1024

export interface ControlServerOptions {
  readonly tpm: Tpm
  /** A socket that listens for clients, a client that is there already, or both. */
  readonly sockets: ControlSockets
  /** A client needs the engine, which may not have been started yet. @throws SwtpmError */
  engineNeeded(): Promise<void>
  /** Takes over the data descriptor that a client sends. @returns a TPM result */
  setDataFd(fd: number): Promise<number>
  /** SHUTDOWN has been executed and answered. */
  onShutdown(): void
  /** The client has gone. */
  onDisconnect(): void
}

export interface ControlSockets {
  readonly listenFd?: number | undefined
  readonly clientFd?: number | undefined
}

export class ControlServer {
  readonly #options: ControlServerOptions
  readonly #listener: Listener | undefined
  #client: ControlConnection | undefined

  constructor(options: ControlServerOptions) {
    this.#options = options
    const { listenFd, clientFd } = options.sockets
    if (listenFd !== undefined) this.#listener = new Listener(listenFd, (fd) => this.#serve(fd))
    if (clientFd !== undefined) this.#serve(clientFd)
    else this.#listener?.resume()
  }

  /** The sockets, which stay ours; undefined while a command is under way. */
  save(): ControlSockets | undefined {
    if (this.#client?.busy) return undefined
    return { listenFd: this.#listener?.fd, clientFd: this.#client?.fd }
  }

  close(): void {
    this.#listener?.close()
    this.#client?.close()
  }

  /** One client at a time: the next one waits in the backlog, as with every swtpm. */
  #serve(fd: number): void {
    this.#listener?.pause()
    this.#client = new ControlConnection(fd, this.#options, () => {
      this.#client = undefined
      this.#listener?.resume()
      this.#options.onDisconnect()
    })
  }
}

class ControlConnection {
  readonly #socket: DescriptorSocket
  readonly #options: ControlServerOptions
  readonly #onClose: () => void
  readonly #unknown = new RateLimit(UNKNOWN_RATE)
  #pending: Buffer = Buffer.alloc(0)
  /** What SET_DATAFD brings: with the command that has arrived, and with the one that is being executed. */
  #dataFd: number | undefined
  #commandFd: number | undefined
  #deadline: NodeJS.Timeout | undefined
  #busy = false
  #ended = false
  #open = true

  constructor(fd: number, options: ControlServerOptions, onClose: () => void) {
    this.#options = options
    this.#onClose = onClose
    this.#socket = new DescriptorSocket(fd, { halfOpen: true })
    this.#socket.on('data', (chunk, fds) => {
      this.#pending = Buffer.concat([this.#pending, chunk])
      this.#keep(fds)
      // While a verb is executed, or an answer is not read: what arrives is looked at afterwards.
      if (!this.#occupied) guarded(this.#next())
      else if (this.#pending.length > MAX_WAITING_BYTES) this.#socket.pause()
    })
    this.#socket.on('flushed', () => {
      if (!this.#busy) guarded(this.#next())
    })
    // A client may send its last command, say that it was the last, and wait for the answer.
    this.#socket.on('end', () => {
      this.#ended = true
      if (!this.#occupied) this.#socket.end()
    })
    this.#socket.on('close', () => this.close())
  }

  get fd(): number {
    return this.#socket.fd
  }

  get #occupied(): boolean {
    return this.#busy || this.#socket.pendingBytes > 0
  }

  /** A command is being executed, or part of one, or of an answer, is on its way. */
  get busy(): boolean {
    return (
      this.#busy ||
      this.#ended ||
      this.#pending.length > 0 ||
      this.#dataFd !== undefined ||
      this.#socket.pendingBytes > 0
    )
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    clearTimeout(this.#deadline)
    this.#deadline = undefined
    this.#closeCommandFd()
    if (this.#dataFd !== undefined) closeSync(this.#dataFd)
    this.#dataFd = undefined
    this.#socket.close()
    this.#onClose()
  }

  async #next(): Promise<void> {
    while (this.#open && this.#pending.length > 0) {
      // An answer that is not read is the last one.
      if (this.#socket.pendingBytes > 0) return
      this.#socket.resume()
      const command = parseControlCommand(this.#pending)
      if (command.kind === 'incomplete') return this.#awaitRest(command)
      clearTimeout(this.#deadline)
      this.#deadline = undefined
      const bytes = this.#pending
      this.#pending = Buffer.alloc(0)
      if (command.kind === 'oversized') {
        log.error(`Control command ${command.name} announces ${command.length} bytes: closing the connection`)
        return this.close()
      }
      show('Ctrl Cmd', bytes, 'name' in command ? command.name : undefined)
      this.#busy = true
      this.#commandFd = this.#dataFd
      this.#dataFd = undefined
      try {
        const shutDown = await this.#answer(command)
        if (shutDown) return this.#options.onShutdown()
      } finally {
        this.#busy = false
        this.#closeCommandFd()
      }
    }
    if (this.#ended) this.#socket.end()
  }

  /** 500 ms for a command; a long body may take longer as long as bytes keep coming. */
  #awaitRest({ bulk, name }: Extract<ControlCommand, { kind: 'incomplete' }>): void {
    if (bulk) clearTimeout(this.#deadline)
    else if (this.#deadline !== undefined) return
    this.#deadline = setTimeout(() => {
      // Whatever comes next could be the rest of it, or another command.
      log.error(
        `Cannot execute control command ${name ?? '(cut off in its code)'}: only ${this.#pending.length} bytes of ` +
          `it came within ${COMMAND_TIMEOUT_MS} ms; the connection is closed`,
      )
      this.close()
    }, COMMAND_TIMEOUT_MS)
  }

  /** @returns true after a SHUTDOWN */
  async #answer(command: Exclude<ControlCommand, { kind: 'incomplete' | 'oversized' }>): Promise<boolean> {
    if (command.kind === 'unknown') {
      const hint = isTpmCommand(command.code)
        ? ', a TPM command: those belong to the data channel (--server)'
        : ''
      this.#tellOfUnknown(`Unknown command: 0x${command.code.toString(16).padStart(8, '0')}${hint}`)
      this.#reply({ tpmResult: TPM_BAD_ORDINAL }, ptmRes)
      return false
    }
    const { name } = command
    const row: Verb = VERBS[name]
    const resp = row.controlResp ?? row.resp
    if (command.kind === 'malformed') {
      const known = this.#options.tpm.allows(name)
      this.#reply({ tpmResult: known ? TPM_BAD_PARAMETER : TPM_BAD_ORDINAL }, ptmRes)
      return false
    }
    try {
      this.#reply(await this.#execute(name, command.request), resp, row.controlFailure, name)
    } catch (error) {
      if (!isFault(error)) throw error
      log.error(sentenceOf(error))
      this.#reply({ tpmResult: TPM_IOERROR }, ptmRes, row.controlFailure)
      return false
    }
    return name === 'SHUTDOWN'
  }

  #tellOfUnknown(text: string): void {
    const suppressed = this.#unknown.take()
    if (suppressed !== undefined) log.error(suppressed === 0 ? text : `${text} (and ${suppressed} others)`)
  }

  async #execute(name: VerbName, request: Record<string, unknown>): Promise<Record<string, unknown>> {
    const { tpm, engineNeeded, setDataFd } = this.#options
    const engine = engineNeeded()
    switch (name) {
      case 'GET_CAPABILITY':
        // It can be answered without. The next verb hears of a failure.
        engine.catch(() => {})
        return { tpmResult: TPM_SUCCESS, caps: capabilities('control', tpm.version === '2') }
      case 'SET_DATAFD': {
        await engine
        const fd = this.#commandFd
        this.#commandFd = undefined
        return { tpmResult: fd === undefined ? TPM_IOERROR : await setDataFd(fd) }
      }
      default:
        await engine
        return execute(tpm, name, request as Request<HandledVerb>)
    }
  }

  #reply(
    outcome: Record<string, unknown>,
    resp: Verb['resp'],
    failure: Verb['resp'] = ptmRes,
    name?: VerbName,
  ): void {
    const failed = 'tpmResult' in outcome && outcome.tpmResult !== TPM_SUCCESS
    const layout = failed ? (outcome.tpmResult === TPM_BAD_ORDINAL ? ptmRes : failure) : resp
    const bytes = layout.encode(outcome, BIG)
    show('Ctrl Rsp', bytes, name)
    this.#socket.write(bytes)
  }

  /** Keeps the one descriptor that belongs to the command, as far as that is known, and closes all others. */
  #keep(fds: readonly number[]): void {
    const code = this.#pending.length < CODE_BYTES ? SET_DATAFD : this.#pending.readUInt32BE()
    for (const fd of fds) {
      if (code === SET_DATAFD && this.#dataFd === undefined) this.#dataFd = fd
      else closeSync(fd)
    }
  }

  #closeCommandFd(): void {
    if (this.#commandFd !== undefined) closeSync(this.#commandFd)
    this.#commandFd = undefined
  }
}

/** Whether four bytes are the tag of a TPM command and half of its size, which is less than 64 KiB. */
const isTpmCommand = (word: number): boolean => COMMAND_TAGS.has(word >>> 16) && (word & 0xffff) === 0
/** TPM_TAG_RQU_COMMAND, …AUTH1 and …AUTH2 of a TPM 1.2; TPM_ST_NO_SESSIONS and TPM_ST_SESSIONS of a TPM 2.0. */
const COMMAND_TAGS = new Set([0x00c1, 0x00c2, 0x00c3, 0x8001, 0x8002])

/** Level at which the log shows the bytes that pass. */
const BYTES = 2
/** State blobs are secrets; what is in front of them is not. */
const BLOB_HEADER_BYTES = 16

function show(title: string, bytes: Buffer, name: VerbName | undefined): void {
  const secret = (name === 'GET_STATEBLOB' || name === 'SET_STATEBLOB') && bytes.length > BLOB_HEADER_BYTES
  if (secret) log.dump(BYTES, `${title} without the state:`, bytes.subarray(0, BLOB_HEADER_BYTES))
  else log.dump(BYTES, `${title}:`, bytes)
}
