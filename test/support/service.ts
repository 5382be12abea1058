/** Other people's daemons: started, watched until they serve, ended with the test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { connect } from 'node:net'
import type { Cleanup } from './swtpm.ts'
import { waitFor } from './wait.ts'

export class Service {
  readonly child: ChildProcess
  /** What it has said, on either channel. */
  output = ''
  readonly exited: Promise<number | NodeJS.Signals>

  constructor(
    t: Cleanup,
    program: string,
    args: readonly string[],
    options: {
      env?: NodeJS.ProcessEnv
      uid?: number
      gid?: number
      input?: boolean
      /** Handed in as 3, 4 … */
      fds?: readonly number[]
    } = {},
  ) {
    const { env, input = false, fds = [], ...identity } = options
    this.child = spawn(program, args, {
      stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe', ...fds],
      env: { ...process.env, ...env },
      ...identity,
    })
    const keep = (chunk: Buffer): void => {
      this.output += chunk
    }
    this.child.stdout?.on('data', keep)
    this.child.stderr?.on('data', keep)
    this.exited = new Promise((resolve) => {
      this.child.on('error', (error) => {
        this.output += error.message
        resolve(127)
      })
      this.child.on('exit', (code, signal) => resolve(code ?? (signal as NodeJS.Signals)))
    })
    t.after(() => this.stop('SIGKILL'))
  }

  get running(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  /** Waits for a condition. @throws with what the program has said, also when it ends before */
  async until(condition: () => unknown, what: string): Promise<void> {
    const program = this.child.spawnargs[0]
    try {
      const met = await waitFor(async () => (await condition()) || !this.running, {
        what,
      })
      if (met !== true || this.running || (await condition())) return
    } catch (error) {
      throw new Error(
        `${program}: ${error instanceof Error ? error.message : error}; it said: ${this.output}`,
      )
    }
    throw new Error(`${program} ended before ${what}: ${this.output}`)
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals> {
    if (this.running) this.child.kill(signal)
    return this.exited
  }
}

/** @returns whether a process listens there */
export function listens(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
