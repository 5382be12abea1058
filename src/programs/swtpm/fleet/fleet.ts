/** Many TPMs under one supervisor and one spawner. A fault of one does not affect the others. */
import type { ServerEndpoint, SwtpmConfig } from '../../../serve/config.ts'
import { Session, type SessionHost } from '../../../serve/session.ts'
import { SwtpmError } from '../../../system/errors.ts'
import { sentenceOf } from '../../../system/fault.ts'
import { guarded, underGuard } from '../../../system/guard.ts'
import { log } from '../../../system/log.ts'
import { within } from '../../../system/time-limit.ts'
import { OpenStates } from '../../../tpm/state/open-states.ts'
import type { TpmState, TpmStatus } from './fleet-protocol.ts'

/** How long SIGUSR2 waits for one engine to be replaced before it goes on to the next; it takes some 20 ms, seconds on a busy machine. */
const REPLACEMENT_PATIENCE_MS = 2000

/** Lets commands come in; the interface's front end. @throws SwtpmError */
export type Serve = (session: Session, config: SwtpmConfig) => Promise<void>

interface Member {
  readonly name: string
  readonly config: SwtpmConfig
  state: TpmState
  session: Session | undefined
  failure: string | undefined
  /** Resolves when it has ended and everything of it is undone. */
  ended: Promise<void>
}

export class Fleet {
  readonly #host: SessionHost
  readonly #serve: Serve
  readonly #members = new Map<string, Member>()
  readonly #states = new OpenStates()
  #ending = false

  constructor(host: SessionHost, serve: Serve) {
    this.#host = host
    this.#serve = serve
  }

  /**
   * Starts a TPM. When this resolves it is served.
   * @throws SwtpmError why it is not; one whose name was free is then listed as failed
   */
  async add(name: string, config: SwtpmConfig): Promise<TpmStatus> {
    if (this.#ending) throw fault(`Cannot add TPM "${name}": the fleet is ending`)
    this.#refuseDuplicate(name, config.state.path)
    const member: Member = {
      ...{ name, config, state: 'starting', session: undefined, failure: undefined },
      ended: Promise.resolve(),
    }
    this.#members.set(name, member)
    await this.#about(member, () => this.#start(member))
    return statusOf(member)
  }

  /** Ends a TPM in order; resolves when it has. @throws SwtpmError when there is none of this name */
  async remove(name: string): Promise<void> {
    const member = this.#members.get(name)
    if (member === undefined) {
      throw fault(
        `Cannot remove TPM "${name}": there is none of this name; swtpm fleet list shows those that are`,
      )
    }
    if (member.state !== 'failed') {
      member.state = 'ending'
      await this.#about(member, async () => member.session?.end(0))
      await member.ended
    }
    if (this.#members.get(name) === member) this.#members.delete(name)
  }

  /** In the order of their names. */
  list(): TpmStatus[] {
    return [...this.#members.values()]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((member) => statusOf(member))
  }

  /** Replaces all engines by new ones, of the program that is installed now. */
  async replaceEngines(): Promise<void> {
    // One after another: two engines of one TPM take the memory of two. One that takes long holds up no other.
    for (const member of [...this.#members.values()]) {
      const { session } = member
      if (session === undefined) continue
      const replaced = this.#about(member, () => session.replaceEngine())
      await within(REPLACEMENT_PATIENCE_MS, replaced, 'late')
    }
  }

  /** Ends all of them in order, at the same time. */
  async end(): Promise<void> {
    this.#ending = true
    await Promise.all([...this.#members.keys()].map((name) => this.remove(name)))
  }

  /** Whether {@link end} has been called. */
  get ending(): boolean {
    return this.#ending
  }

  /** Has TPMs that are ending not wait for their engines. */
  hurry(): void {
    for (const { session } of this.#members.values()) session?.hurry()
  }

  /** Log lines of the work have the TPM's name, and an error of it that nobody handles ends that TPM alone. */
  #about<T>(member: Member, work: () => T): T {
    const guard = (error: unknown): void => {
      const failure = sentenceOf(error)
      log.error(failure)
      guarded(member.session?.end(1, failure) ?? Promise.resolve())
    }
    return log.of(logNameOf(member), () => underGuard(guard, work))
  }

  #refuseDuplicate(name: string, path: string): void {
    const same = this.#members.get(name)
    if (same !== undefined && same.state !== 'failed') {
      throw fault(`Cannot add TPM "${name}": there is one of this name; swtpm fleet remove ${name} ends it`)
    }
    const owner = this.#states.ownerOf(path)
    if (owner !== undefined) throw fault(`Cannot add TPM "${name}": ${stateOfAnother(path, owner)}`)
  }

  /** @throws SwtpmError when what was opened is another TPM's */
  #claimState(fd: number, name: string, path: string): () => void {
    const claim = this.#states.claim(fd, name)
    if (typeof claim === 'function') return claim
    throw fault(stateOfAnother(path, claim.owner))
  }

  async #start(member: Member): Promise<void> {
    const { name, config } = member
    let session: Session
    try {
      session = Session.open(
        config,
        { ...this.#host, claimState: (fd) => this.#claimState(fd, name, config.state.path) },
        '',
      )
    } catch (error) {
      throw this.#failed(member, error)
    }
    member.session = session
    member.ended = session.ended.then(() => this.#ended(member, session))
    try {
      await session.openTraces()
      await session.equipEngine()
      await this.#serve(session, config)
      if (member.state === 'starting') member.state = 'running'
    } catch (error) {
      const failure = this.#failed(member, session.failure === undefined ? error : fault(session.failure))
      await session.end(1, failure.message)
      throw failure
    }
    // It may have ended as soon as it was there.
    if (session.failure !== undefined) throw fault(`Cannot serve TPM "${name}": ${session.failure}`)
    log.info(`Serving ${config.tpmVersion === '2' ? 'a TPM 2.0' : 'a TPM 1.2'} of "${config.state.path}"`)
  }

  /** @returns what it was, with the TPM's name */
  #failed(member: Member, error: unknown): SwtpmError {
    const reason = sentenceOf(error)
    member.state = 'failed'
    member.failure = reason
    const code = error instanceof SwtpmError ? error.code : 'SWTPM_ERR_FLEET'
    return new SwtpmError(code, `Cannot serve TPM "${member.name}": ${reason}`, { cause: error })
  }

  #ended(member: Member, session: Session): void {
    member.session = undefined
    if (member.state === 'failed') return
    if (session.failure !== undefined) {
      member.state = 'failed'
      member.failure = session.failure
      return
    }
    log.info('It has ended')
    if (this.#members.get(member.name) === member) this.#members.delete(member.name)
  }
}

/** A TPM that keeps no secrets is called so in every line. */
const logNameOf = ({ name, config: { seedInsecure } }: Member): string =>
  seedInsecure === undefined ? name : `${name}: insecure seed ${seedInsecure}`

function statusOf({ name, state, config, session, failure }: Member): TpmStatus {
  const engine = session?.tpm.engine.pid
  const address = session?.device ?? addressOf(config)
  const control =
    'control' in config && config.control !== undefined ? endpointName(config.control) : undefined
  return {
    name,
    state,
    interface: config.interface,
    ...(address !== undefined && { address }),
    ...(control !== undefined && { control }),
    tpmstate: config.state.path,
    ...(config.seedInsecure !== undefined && { insecureSeed: config.seedInsecure }),
    ...(engine !== undefined && { engine }),
    ...(failure !== undefined && { failure }),
  }
}

function addressOf(config: SwtpmConfig): string | undefined {
  switch (config.interface) {
    case 'socket':
      return config.server && endpointName(config.server)
    case 'chardev':
      return config.device.kind === 'path' ? config.device.path : undefined
    case 'cuse':
      return `/dev/${config.name}`
  }
}

function endpointName(endpoint: ServerEndpoint): string | undefined {
  if (endpoint.kind === 'unix') return endpoint.path
  if (endpoint.kind === 'fd') return undefined
  const { bindAddress, port } = endpoint
  return `${bindAddress.includes(':') ? `[${bindAddress}]` : bindAddress}:${port}`
}

const stateOfAnother = (path: string, owner: string): string =>
  `its state "${path}" is that of TPM "${owner}"; give it another`

const fault = (text: string): SwtpmError => new SwtpmError('SWTPM_ERR_FLEET', text)
