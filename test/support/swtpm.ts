/** Starts the real `swtpm` of this tree, or another one to compare with, and ends it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { isListening } from './listening.ts'
import { waitFor } from './wait.ts'

/** The root of the project, found upwards from the bundled test. */
export const projectRoot = ((): string => {
  for (let folder = __dirname; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'native/binding.gyp'))) return folder
    if (folder === dirname(folder)) throw new Error('the project root was not found')
  }
})()

export const bin = (name: string): string => join(projectRoot, 'bin', name)

/** Debian's package, for tests of both directions. */
export const REFERENCE_SWTPM = '/usr/bin/swtpm'

/**
 * Sanitizers make system calls that no part of swtpm may make, ThreadSanitizer as soon as it begins: `npm run fuzz -- --sanitize` has
 * engines, and what starts them, go without a filter.
 */
export const SECCOMP_ACTION = process.env.SWTPM_TEST_SECCOMP
export const SECCOMP: readonly string[] =
  SECCOMP_ACTION === undefined ? [] : ['--seccomp', `action=${SECCOMP_ACTION}`]

export class Swtpm {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  readonly exited: Promise<number | NodeJS.Signals>

  constructor(
    args: readonly string[],
    options: { program?: string; stdio?: (number | 'pipe')[]; env?: NodeJS.ProcessEnv; cwd?: string } = {},
  ) {
    const extra = options.stdio ?? []
    this.child = spawn(options.program ?? bin('swtpm'), args, {
      stdio: ['ignore', 'pipe', 'pipe', ...extra],
      env: { ...process.env, ...options.env },
      cwd: options.cwd,
    })
    this.child.stdout?.on('data', (chunk) => {
      this.stdout += chunk
    })
    this.child.stderr?.on('data', (chunk) => {
      this.stderr += chunk
    })
    this.exited = new Promise((resolve) => {
      this.child.on('close', (code, signal) => resolve(code ?? (signal as NodeJS.Signals)))
    })
  }

  get pid(): number {
    return this.child.pid as number
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  /** Waits for a condition, or fails with what the program has said when it ends before. */
  async until(condition: () => unknown, what: string): Promise<void> {
    await waitFor(() => !this.running || condition(), { what: `${what}; stderr: ${this.stderr}` })
    if (!this.running && !condition()) {
      throw new Error(
        `swtpm ended (${this.child.exitCode ?? this.child.signalCode}) before ${what}: ${this.stderr}`,
      )
    }
  }

  /** SIGTERM, and the exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals> {
    if (this.running) this.child.kill(signal)
    return this.exited
  }
}

/** For a program that was started with `--ready-fd 3` and `stdio: ['pipe']`. @returns what it wrote there, when it has closed it */
export const saidOnReadyFd = (swtpm: Swtpm): Promise<string> => text(swtpm.child.stdio[3] as Readable)

/** Waits until its clients can use it. */
export async function untilReady(swtpm: Swtpm): Promise<void> {
  if ((await saidOnReadyFd(swtpm)) === 'READY=1\n') return
  throw new Error(`swtpm ended (${await swtpm.exited}) before it was ready: ${swtpm.stderr}`)
}

/** What `node:test` gives a test: a way to say what is to be undone after it. */
export interface Cleanup {
  after(undo: () => unknown): void
}

/** A directory for one test, removed at its end. */
export function temporaryDirectory(t: Cleanup): string {
  const path = mkdtempSync(join(tmpdir(), 'swtpm-test-'))
  // What was started in it is ended after this, and may make a file at the moment.
  t.after(() => waitFor(() => isRemoved(path), { what: `the end of what writes in ${path}` }))
  return path
}

/** rmSync() with `maxRetries` does not look again for what has come meanwhile. */
function isRemoved(path: string): boolean {
  try {
    rmSync(path, { recursive: true, force: true })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTEMPTY') return false
    throw error
  }
}

export interface SocketTpm {
  readonly swtpm: Swtpm
  readonly directory: string
  readonly dataPath: string
  readonly controlPath: string
}

/** `swtpm socket` on Unix sockets in a directory of its own, ready to be connected to. */
export async function startSocketTpm(
  t: Cleanup,
  args: readonly string[] = ['--tpm2', '--flags', 'startup-clear'],
  options: {
    directory?: string
    program?: string
    backend?: 'dir' | 'file'
    env?: NodeJS.ProcessEnv
  } = {},
): Promise<SocketTpm> {
  const directory = options.directory ?? temporaryDirectory(t)
  const dataPath = join(directory, 'data')
  const controlPath = join(directory, 'control')
  // What a killed one has left behind must not be taken for the new one's.
  for (const path of [dataPath, controlPath]) rmSync(path, { force: true })
  const start = {
    ...(options.program !== undefined && { program: options.program }),
    ...(options.env !== undefined && { env: options.env }),
  }
  const swtpm = new Swtpm(
    [
      'socket',
      '--tpmstate',
      options.backend === 'file' ? `backend-uri=file://${directory}/linear` : `dir=${directory}`,
      '--server',
      `type=unixio,path=${dataPath}`,
      '--ctrl',
      `type=unixio,path=${controlPath}`,
      ...SECCOMP,
      ...args,
    ],
    start,
  )
  t.after(() => swtpm.stop('SIGKILL'))
  await swtpm.until(() => isListening(dataPath) && isListening(controlPath), 'it listens')
  return { swtpm, directory, dataPath, controlPath }
}
