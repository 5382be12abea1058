/** The TPMs of a suite, in the guest: one fleet, which has a new TPM sooner than a new process would. */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { ask } from '../../fleet/fleet-client.ts'
import { type StartedTpm, startSwtpm } from '../own-swtpm.ts'
import type { TpmWishes } from './row.ts'

const DIRECTORY = '/run/guest'
const SOCKET = join(DIRECTORY, 'suite.sock')

export class SuiteFleet {
  readonly #fleet: StartedTpm
  #count = 0

  private constructor(fleet: StartedTpm) {
    this.#fleet = fleet
  }

  static async start(): Promise<SuiteFleet> {
    const ctrl = `type=unixio,path=${SOCKET}`
    return new SuiteFleet(await startSwtpm(['fleet', '--ctrl', ctrl, '--log', `file=${DIRECTORY}/suite.log`]))
  }

  /** @returns its name and its device; undefined where the kernel has made none */
  async add({
    version = '2.0',
    faults = [],
  }: TpmWishes): Promise<{ name: string; device: string } | undefined> {
    const name = `row${this.#count++}`
    const state = mkdtempSync(join(DIRECTORY, 'suite-'))
    const words = [
      ...['chardev', '--vtpm-proxy', '--tpmstate', `dir=${state}`],
      ...(version === '2.0' ? ['--tpm2'] : []),
      ...faults.flatMap((rule) => ['--fault', rule]),
    ]
    const answer = await ask(SOCKET, { verb: 'add', name, words, directory: '/' })
    if (answer.ok) return { name, device: answer.tpms[0]?.address ?? '' }
    if (/kernel has given up|dmesg/.test(answer.error)) return undefined
    throw new Error(answer.error)
  }

  async remove(name: string): Promise<void> {
    await ask(SOCKET, { verb: 'remove', name })
  }

  async end(): Promise<void> {
    await this.#fleet.end()
  }
}
