/** Who is measured: each can serve a TPM on some transports. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { isListening } from '../support/listening.ts'
import { alive, nameOf } from '../support/processes.ts'
import { bin, REFERENCE_SWTPM, Swtpm } from '../support/swtpm.ts'
import { TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'
import { BenchClient } from './client.ts'
import { family } from './process-cost.ts'
import { LineProgram, pinned } from './programs.ts'

/** `tpm` and `tpmrm` are the kernel's devices of the vTPM proxy, `cuse` is /dev/vtpmN. */
export type Transport = 'unix' | 'tcp' | 'tpm' | 'tpmrm' | 'cuse'

export interface ServeOptions {
  readonly transport: Transport
  readonly tpm: '2' | '1.2'
  /** Where directories for state are made. */
  readonly stateRoot?: string
  /** A TPM 2.0's permanent state to begin with: the same seeds make the same keys by the same work. */
  readonly state?: string
  /** On one processor, see CORE. */
  readonly pin: boolean
}

/** A TPM that is served, started up. */
export interface Served {
  /** For bench-client. */
  readonly address: string
  /** The control channel's address, for bench-client. */
  readonly control?: string
  readonly pids: readonly number[]
  /** Resolves when nothing runs that is not needed at rest. */
  atRest?(): Promise<unknown>
  stop(): Promise<void>
}

export interface Contestant {
  readonly name: string
  /** Not there, or not able to: undefined. */
  serve(options: ServeOptions): Promise<Served> | undefined
  /** The program that is started, for what counts from its exec on. */
  readonly program?: SwtpmProgram
}

/** A program with swtpm's command line. */
export interface SwtpmProgram {
  readonly path: string
  readonly env?: NodeJS.ProcessEnv
  /** Has a command line of its own: swtpm_cuse. */
  readonly cuse: { readonly path: string; readonly args: readonly string[] } | undefined
  /** Added to --tpmstate. */
  readonly stateOptions?: string
}

/** The names of the processes that a TPM has at rest. */
const AT_REST = new Set(['swtpm', 'tpm-engine'])

const PERMANENT_STATE = 'tpm2-00.permall'

let devices = 0

function swtpm(name: string, program: SwtpmProgram): Contestant {
  return {
    name,
    program,
    serve(options) {
      const { transport, tpm } = options
      if (transport === 'cuse' && program.cuse === undefined) return undefined
      if (transport === 'tpmrm' && tpm === '1.2') return undefined
      return serveSwtpm(program, options)
    },
  }
}

async function serveSwtpm(
  program: SwtpmProgram,
  { transport, tpm, stateRoot = tmpdir(), state, pin }: ServeOptions,
): Promise<Served> {
  const directory = mkdtempSync(join(stateRoot, 'swtpm-bench-'))
  if (state !== undefined && tpm === '2') copyFileSync(state, join(directory, PERMANENT_STATE))
  const control = join(directory, 'control')
  const pidFile = join(directory, 'pid')
  const common = [
    ...(tpm === '2' ? ['--tpm2'] : []),
    ...['--tpmstate', `dir=${directory}${program.stateOptions ?? ''}`, '--pid', `file=${pidFile}`],
    ...['--flags', 'startup-clear', '--log', `file=${join(directory, 'log')}`],
  ]
  const withControl = [...common, '--ctrl', `type=unixio,path=${control}`]
  const run = (path: string, args: readonly string[]): Swtpm => {
    const [command, rest] = pinned(pin, path, args)
    return new Swtpm(rest, { program: command, ...(program.env && { env: program.env }) })
  }
  const served = (address: string, pid: number, hasControl: boolean): Served => {
    return {
      address,
      ...(hasControl && { control: `control:${control}` }),
      // Sockets may be there before the process that will serve them.
      get pids() {
        return family(pid)
      },
      atRest() {
        return waitFor(() => family(pid).every((each) => AT_REST.has(nameOf(each))), { what: 'Node to rest' })
      },
      async stop() {
        const pids = family(pid)
        // All at once, and without asking: the state is not needed, and the C swtpm may ignore SIGTERM.
        pids.forEach(endProcess)
        await waitFor(() => !pids.some(alive), { what: `processes ${pids} to end` })
        rmSync(directory, { recursive: true, force: true })
      },
    }
  }

  switch (transport) {
    case 'unix':
    case 'tcp': {
      const place = transport === 'unix' ? join(directory, 'data') : String(await freePort())
      const server = transport === 'unix' ? `type=unixio,path=${place}` : `type=tcp,port=${place}`
      const process = run(program.path, ['socket', '--server', server, ...withControl])
      const listens = (): boolean =>
        transport === 'unix' ? isListening(place) : isListeningTcp(Number(place))
      await process.until(() => listens() && isListening(control), 'it listens')
      return served(`${transport}:${place}`, process.pid, true)
    }
    case 'tpm':
    case 'tpmrm': {
      const process = run(program.path, ['chardev', '--vtpm-proxy', ...withControl])
      const announcement = /^New TPM device: \/dev\/tpm(\d+)/
      await process.until(() => announcement.test(process.stdout), 'its announcement')
      const path = `/dev/${transport}${announcement.exec(process.stdout)?.[1]}`
      // The kernel makes the node when it has talked to the TPM; the C swtpm announces it before.
      await process.until(() => existsSync(path), `${path} is there`)
      return served(`device:${path}`, process.pid, true)
    }
    case 'cuse': {
      const name = `vtpm${process.pid}b${devices++}`
      const cuse = program.cuse as NonNullable<SwtpmProgram['cuse']>
      const server = run(cuse.path, [...cuse.args, '-n', name, ...common])
      const path = `/dev/${name}`
      const pid = (): number => Number(existsSync(pidFile) && readFileSync(pidFile, 'utf8'))
      await waitFor(() => pid() > 0 && existsSync(path), { what: `${path} is served; ${server.stderr}` })
      return served(`device:${path}`, pid(), false)
    }
  }
}

/** A process that is no child of ours, or has ended. */
function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It is gone.
  }
}

/** Without connecting: some serve one client only. */
function isListeningTcp(port: number): boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .some(([, address, , state]) => address?.endsWith(local) && state === '0A')
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

/** What a transport costs without a TPM. */
export const ECHO: Contestant = {
  name: 'echo',
  serve({ transport, tpm, pin }) {
    return tpm === '2' ? serveBarely(transport, pin) : undefined
  },
}

/** What is left of a server when it does nothing but read, have libtpms process, and write: it stores nothing either. */
const BARE_LOOP: Contestant = {
  name: 'bare loop',
  serve({ transport, tpm, state, pin }) {
    // The echo is one already there, but for GetRandom.
    if (transport === 'tpm' || transport === 'tpmrm') return undefined
    return serveBarely(transport, pin, libtpmsOf(tpm, state))
  },
}

/** Tells a native program which TPM libtpms is to be. */
const libtpmsOf = (tpm: '2' | '1.2', state: string | undefined): string =>
  state !== undefined && tpm === '2' ? `${tpm},${state}` : tpm

/** @param libtpms what answers; a fixed response where it is not given */
async function serveBarely(transport: Transport, pin: boolean, libtpms?: string): Promise<Served> {
  const directory = mkdtempSync(join(tmpdir(), 'swtpm-bench-'))
  const addresses = {
    unix: () => `unix:${join(directory, 'data')}`,
    tcp: async () => `tcp:${await freePort()}`,
    cuse: () => `cuse:vtpm${process.pid}b${devices++}`,
    tpm: () => 'vtpm-proxy',
    tpmrm: () => 'vtpm-proxy',
  }
  const address = await addresses[transport]()
  const args = libtpms === undefined ? [address] : [address, libtpms]
  const program = new LineProgram('bench-server', args, { pin })
  const [, node] = (await program.line()).split(' ')
  const device = transport === 'tpmrm' ? node?.replace('tpm', 'tpmrm') : node
  if (device) await waitFor(() => existsSync(device), { what: device })
  return {
    address: device ? `device:${device}` : address,
    pids: [program.child.pid as number],
    async stop() {
      program.end()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** libtpms in the measuring client: what no TPM can be faster than. */
const DIRECT: Contestant = {
  name: 'direct',
  serve({ tpm, state }) {
    return Promise.resolve({ address: `direct:${libtpmsOf(tpm, state)}`, pids: [], stop: async () => {} })
  },
}

export const OURS = swtpm('ours', {
  path: bin('swtpm'),
  cuse: { path: bin('swtpm'), args: ['cuse'] },
})
const OURS_UNSYNCED = swtpm('ours, fsync=false', {
  path: bin('swtpm'),
  cuse: { path: bin('swtpm'), args: ['cuse'] },
  stateOptions: ',fsync=false',
})
export const DEBIAN = swtpm('Debian', { path: REFERENCE_SWTPM, cuse: undefined })

/**
 * A build of the C program: `PATH` is the program, the directory that it was built in, or one that it was installed into.
 * @throws when there is none
 */
export function referenceAt(path: string): Contestant[] {
  const candidates = ['', 'src/swtpm/.libs/swtpm', '.libs/swtpm', 'bin/swtpm', 'swtpm'].map((end) =>
    join(path, end),
  )
  const program = candidates.find((file) => existsSync(file) && statSync(file).isFile())
  if (program === undefined) throw new Error(`no swtpm in ${path}: looked for ${candidates.join(', ')}`)
  const folder = dirname(program)
  const cuse = join(folder, 'swtpm_cuse')
  const name = 'reference'
  const common: SwtpmProgram = {
    path: program,
    cuse: existsSync(cuse) ? { path: cuse, args: [] } : undefined,
    // Where it was built its library is beside it.
    env: existsSync(join(folder, 'libswtpm_libtpms.so.0')) ? { LD_LIBRARY_PATH: folder } : {},
  }
  const features = execFileSync(program, ['socket', '--print-capabilities'], {
    env: { ...process.env, ...common.env },
    encoding: 'utf8',
  })
  const fsync = features.includes('tpmstate-dir-backend-opt-fsync')
  return [
    swtpm(name, common),
    ...(fsync ? [swtpm('reference, fsync', { ...common, stateOptions: ',fsync' })] : []),
  ]
}

/** Makes a TPM 2.0 and puts its permanent state into this directory. @returns the file */
export async function prepareState(directory: string): Promise<string> {
  const args = ['socket', '--tpm2', '--tpmstate', `dir=${directory}`, '--flags', 'startup-clear']
  const socket = join(directory, 'data')
  const tpm = new Swtpm([...args, '--server', `type=unixio,path=${socket}`])
  await tpm.until(() => isListening(socket), 'it listens')
  // It listens before it has been started up; what answers has been.
  const client = await BenchClient.connect(`unix:${socket}`)
  await client.do(TPM2.getRandom())
  client.close()
  await tpm.stop()
  return join(directory, PERMANENT_STATE)
}

/** Those that measure a limit; they are compared with nobody. */
export const LIMITS: readonly Contestant[] = [DIRECT, BARE_LOOP, ECHO]

/** In the order of the tables. */
export function contestants({
  reference,
  stores,
}: {
  reference: string | undefined
  stores: boolean
}): Contestant[] {
  const built = reference === undefined ? [] : referenceAt(reference)
  const [plain, synced] = built
  return [
    OURS,
    ...(stores ? [OURS_UNSYNCED] : []),
    ...(existsSync(REFERENCE_SWTPM) ? [DEBIAN] : []),
    ...(plain ? [plain] : []),
    ...(synced && stores ? [synced] : []),
    ...LIMITS,
  ]
}
