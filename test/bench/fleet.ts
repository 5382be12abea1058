/** `swtpm fleet` as a contestant: one supervisor for all TPMs that are served at the same time. */
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import {
  decodeAnswer,
  encodeLine,
  type FleetRequest,
  type TpmStatus,
} from '../../src/programs/swtpm/fleet/fleet-protocol.ts'
import { isListening } from '../support/listening.ts'
import { Swtpm } from '../support/swtpm.ts'
import type { Contestant, Served, ServeOptions } from './contestants.ts'
import { family } from './process-cost.ts'

/** A fleet and a connection to it. */
export class BenchFleet {
  readonly swtpm: Swtpm
  /** Of the socket over which it is asked. */
  readonly path: string
  readonly #directory: string
  readonly #socket: Socket
  readonly #answers: AsyncIterator<string>
  #turn: Promise<unknown> = Promise.resolve()
  #count = 0

  private constructor(swtpm: Swtpm, directory: string, path: string, socket: Socket) {
    this.swtpm = swtpm
    this.path = path
    this.#directory = directory
    this.#socket = socket
    const lines: Interface = createInterface(socket)
    this.#answers = lines[Symbol.asyncIterator]()
  }

  static async start(): Promise<BenchFleet> {
    const directory = mkdtempSync(join(tmpdir(), 'swtpm-bench-'))
    const path = join(directory, 'fleet')
    const log = `file=${join(directory, 'log')}`
    const swtpm = new Swtpm(['fleet', '--ctrl', `type=unixio,path=${path}`, '--log', log])
    await swtpm.until(() => isListening(path), 'the fleet listens')
    const socket = connect(path)
    await once(socket, 'connect')
    return new BenchFleet(swtpm, directory, path, socket)
  }

  /** A TPM 2.0 on Unix sockets in `directory`. */
  async add(directory: string): Promise<{ tpm: TpmStatus; data: string; control: string }> {
    const { request, data, control } = this.requestFor(directory)
    const [tpm] = await this.#ask(request)
    if (tpm === undefined) throw new Error('the fleet does not say what it has added')
    return { tpm, data, control }
  }

  async remove(name: string): Promise<void> {
    await this.#ask({ verb: 'remove', name })
  }

  /** What {@link add} asks for. */
  requestFor(directory: string) {
    const [data, control] = [join(directory, 'data'), join(directory, 'control')]
    const words = [
      ...['socket', '--tpm2', '--tpmstate', `dir=${directory}`, '--flags', 'startup-clear'],
      ...['--server', `type=unixio,path=${data}`, '--ctrl', `type=unixio,path=${control}`],
    ]
    const request = { verb: 'add', name: `tpm${this.#count++}`, words, directory: '/' } as const
    return { request, data, control }
  }

  async stop(): Promise<void> {
    this.#socket.destroy()
    await this.swtpm.stop()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #ask(request: FleetRequest): Promise<readonly TpmStatus[]> {
    const answer = this.#turn.then(async () => {
      this.#socket.write(`${encodeLine(request)}\n`)
      const { value } = await this.#answers.next()
      const answer = decodeAnswer(value)
      if (!answer.ok) throw new Error(answer.error)
      return answer.tpms
    })
    this.#turn = answer.catch(() => {})
    return answer
  }
}

/** All that are served at the same time are in one fleet, which ends with the last. */
function fleetContestant(): Contestant {
  let running: Promise<BenchFleet> | undefined
  let tpms = 0
  return {
    name: 'ours, fleet',
    serve({ transport, tpm, stateRoot = tmpdir(), state, pin }: ServeOptions) {
      if (transport !== 'unix' || tpm !== '2' || pin) return undefined
      tpms++
      running ??= BenchFleet.start()
      return serve(running, stateRoot, state)
    },
  }

  async function serve(starting: Promise<BenchFleet>, stateRoot: string, state?: string): Promise<Served> {
    const fleet = await starting
    const directory = mkdtempSync(join(stateRoot, 'swtpm-bench-'))
    if (state !== undefined) copyFileSync(state, join(directory, 'tpm2-00.permall'))
    const { tpm, data, control } = await fleet.add(directory)
    const [keeper, supervisor, spawner] = family(fleet.swtpm.pid)
    return {
      address: `unix:${data}`,
      control: `control:${control}`,
      pids: [keeper, supervisor, spawner, tpm.engine].filter((pid) => pid !== undefined),
      async stop() {
        if (--tpms === 0) {
          running = undefined
          await fleet.stop()
        }
        rmSync(directory, { recursive: true, force: true })
      },
    }
  }
}

export const FLEET: Contestant = fleetContestant()
