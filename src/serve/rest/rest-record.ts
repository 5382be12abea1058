/**
 * What a Node that goes to rest leaves to the next one: values and descriptors, each by a name. Keys are never among them; the
 * engine alone has those by then.
 */
import { KEEPER_REST } from '../../../contract/keeper.ts'
import type { KeeperMessage } from '../../keeper/keeper.ts'
import { SwtpmError } from '../../system/errors.ts'

/** Of the layout of what is kept. The next Node may be of another version of this program. */
const VERSION = 1

interface Written {
  readonly version: number
  readonly values: Record<string, unknown>
  readonly fds: readonly string[]
}

export class RestRecord {
  readonly #values: Record<string, unknown>
  /** Those in front are watched at rest. */
  readonly #watched: [name: string, fd: number][] = []
  readonly #fds = new Map<string, number>()
  readonly #paths: string[] = []
  /** The first watched descriptor is a client's connection; `ends`: the TPM ends when that client does. */
  client: 'none' | 'stays' | 'ends' = 'none'
  /** The next Node needs the shared state. */
  sharedState = false

  private constructor(values: Record<string, unknown>) {
    this.#values = values
  }

  static begin(): RestRecord {
    return new RestRecord({})
  }

  /** @throws SwtpmError SWTPM_ERR_ENDED: it was left by another version of this program */
  static read({ value, bytes, fds }: KeeperMessage): RestRecord {
    const written = parse(bytes)
    if (written?.version !== VERSION || typeof written.values !== 'object' || !Array.isArray(written.fds))
      throw new SwtpmError(
        'SWTPM_ERR_ENDED',
        'Cannot go on with a TPM that another version of swtpm has served',
      )
    const record = new RestRecord(written.values)
    // Behind them the keeper adds what it has itself.
    const sharedState = (value & KEEPER_REST.sharedState) === 0 ? [] : ['sharedState']
    const names = [...written.fds, 'state', ...sharedState, 'log']
    names.forEach((name, i) => {
      const fd = fds[i]
      if (fd !== undefined) record.#fds.set(name, fd)
    })
    return record
  }

  put(name: string, value: unknown): void {
    this.#values[name] = value
  }

  get<T>(name: string): T {
    return this.#values[name] as T
  }

  keep(name: string, fd: number): void {
    this.#fds.set(name, fd)
  }

  /** Node is to be started again when it has something to say. */
  watch(name: string, fd: number): void {
    this.#watched.push([name, fd])
  }

  /** A file that is removed when the TPM ends, in the order of the calls. */
  remove(path: string): void {
    this.#paths.push(path)
  }

  has(name: string): boolean {
    return this.#fds.has(name)
  }

  /** A descriptor, which is the caller's from now on. @throws SwtpmError SWTPM_ERR_ENDED */
  take(name: string): number {
    const fd = this.#fds.get(name)
    if (fd === undefined)
      throw new SwtpmError('SWTPM_ERR_ENDED', `Cannot go on with the TPM: the keeper has no ${name}`)
    this.#fds.delete(name)
    return fd
  }

  /** For the keeper. @see KEEPER_REST */
  get flags(): number {
    const { client, endWithClient, sharedState } = KEEPER_REST
    const ofClient = { none: 0, stays: client, ends: client | endWithClient }[this.client]
    return ofClient | (this.sharedState ? sharedState : 0)
  }

  get watchedCount(): number {
    return this.#watched.length
  }

  get fds(): number[] {
    return [...this.#watched.map(([, fd]) => fd), ...this.#fds.values()]
  }

  /** Each followed by a NUL. */
  get paths(): Buffer {
    return Buffer.from(this.#paths.map((path) => `${path}\0`).join(''))
  }

  get bytes(): Buffer {
    const fds = [...this.#watched.map(([name]) => name), ...this.#fds.keys()]
    return Buffer.from(JSON.stringify({ version: VERSION, values: this.#values, fds } satisfies Written))
  }
}

function parse(bytes: Buffer): Written | undefined {
  try {
    return JSON.parse(bytes.toString()) as Written
  } catch {
    return undefined
  }
}
