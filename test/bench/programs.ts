/** The native programs that measure; native/bench says what each does. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { projectRoot } from '../support/swtpm.ts'

export const measuringProgram = (name: string): string =>
  join(projectRoot, 'native/bench/build/Release', name)

/** Both ends of what is measured run on this processor, so that handing over costs the same every time. */
export const CORE = 0

/** A command line that runs on {@link CORE} alone. */
export const pinned = (pin: boolean, program: string, args: readonly string[]): [string, string[]] =>
  pin ? ['taskset', ['--cpu-list', String(CORE), program, ...args]] : [program, [...args]]

/** A program that says `ready` and then answers lines with lines. */
export class LineProgram {
  readonly child: ChildProcess
  #stderr = ''
  readonly #lines: AsyncIterator<string>

  constructor(program: string, args: readonly string[], { pin = false } = {}) {
    this.child = spawn(...pinned(pin, measuringProgram(program), args), { stdio: ['pipe', 'pipe', 'pipe'] })
    this.child.stderr?.on('data', (chunk) => {
      this.#stderr += chunk
    })
    // Written to after its end: the line that does not come tells.
    this.child.stdin?.on('error', () => {})
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]()
  }

  /** Its next line. @throws with what it has said on stderr when there is none */
  async line(): Promise<string> {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`${this.child.spawnargs.join(' ')}: ${this.#stderr.trim() || 'ended'}`)
    return value
  }

  async ask(line: string): Promise<string> {
    this.child.stdin?.write(`${line}\n`)
    return this.line()
  }

  end(): void {
    this.child.kill('SIGKILL')
  }
}
