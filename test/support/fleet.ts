/** A `swtpm fleet` of this tree, and its TPMs. */
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ask } from '../../src/programs/swtpm/fleet/fleet-client.ts'
import type { FleetAnswer, FleetRequest, TpmStatus } from '../../src/programs/swtpm/fleet/fleet-protocol.ts'
import { isListening } from './listening.ts'
import { bin, type Cleanup, SECCOMP, Swtpm, temporaryDirectory } from './swtpm.ts'

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface FleetTpm {
  /** Socket of its commands. */
  readonly data: string
  /** Socket of its control channel. */
  readonly control: string
  /** Its state. */
  readonly directory: string
  /** What stands behind `swtpm`. */
  readonly words: readonly string[]
}

export interface RunningFleet {
  readonly swtpm: Swtpm
  readonly directory: string
  /** The fleet's own socket. */
  readonly socket: string
  /** Runs `swtpm fleet` on it with these words. */
  run(...words: string[]): Promise<Ended>
  /** The same without a program. */
  ask(request: FleetRequest): Promise<FleetAnswer>
  list(): Promise<TpmStatus[]>
  /** A TPM 2.0 on sockets that could be added. */
  describe(name: string): FleetTpm
  /** @throws with what the fleet says */
  add(name: string): Promise<FleetTpm>
}

/**
 * @param tpms names of TPMs to begin with
 * @param lines for the file of --tpms, besides
 * @param wrapper a program that starts the fleet, with its first arguments
 */
export async function startFleet(
  t: Cleanup,
  {
    tpms = [],
    lines = [],
    options = [],
    wrapper = [],
    env = {},
  }: {
    tpms?: string[]
    lines?: string[]
    options?: string[]
    wrapper?: readonly string[]
    env?: NodeJS.ProcessEnv
  } = {},
): Promise<RunningFleet> {
  const directory = temporaryDirectory(t)
  const socket = join(directory, 'fleet')
  const file = join(directory, 'tpms')
  const describe = (name: string): FleetTpm => describeTpm(directory, name)
  writeFileSync(
    file,
    [...tpms.map((name) => `${name}: ${describe(name).words.join(' ')}`), ...lines].join('\n'),
  )
  const ctrl = ['--ctrl', `type=unixio,path=${socket}`]
  const [program, ...args] = [
    ...wrapper,
    bin('swtpm'),
    'fleet',
    ...ctrl,
    '--tpms',
    file,
    ...SECCOMP,
    ...options,
  ]
  const swtpm = new Swtpm(args, { program: program as string, env })
  t.after(() => swtpm.stop('SIGKILL'))
  await swtpm.until(() => isListening(socket) && swtpm.stderr.includes('Fleet of'), 'the fleet is there')
  const run = (...words: string[]): Promise<Ended> => {
    const at = words.indexOf('--')
    const own = at < 0 ? words : words.slice(0, at)
    return execute(['fleet', ...own, ...ctrl, ...words.slice(own.length)], directory)
  }
  return {
    ...{ swtpm, directory, socket, run, describe },
    ask: (request) => ask(socket, request),
    async list() {
      return JSON.parse((await run('list', '--json')).stdout)
    },
    async add(name) {
      const tpm = describe(name)
      const { code, stderr } = await run('add', name, '--', ...tpm.words)
      if (code !== 0) throw new Error(stderr)
      return tpm
    },
  }
}

function describeTpm(root: string, name: string): FleetTpm {
  const directory = join(root, name)
  mkdirSync(directory, { recursive: true })
  const [data, control] = [join(directory, 'data'), join(directory, 'control')]
  const sockets = ['--server', `type=unixio,path=${data}`, '--ctrl', `type=unixio,path=${control}`]
  const words = ['socket', '--tpm2', '--tpmstate', `dir=${directory}`, ...sockets, '--flags', 'startup-clear']
  return { data, control, directory, words }
}

function execute(words: readonly string[], cwd: string): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(bin('swtpm'), words, { cwd }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}
