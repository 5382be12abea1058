/** How the TPM emulator is called: the words of --tpm, or our own swtpm. */
import { spawnSync } from 'node:child_process'
import { basename } from 'node:path'
import { installedFile } from '../../system/paths.ts'
import { reasonOf } from '../../system/reason.ts'
import { findProgram } from '../common/access.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { waits } from './waits.ts'

export class TpmCommandLine {
  readonly words: readonly [program: string, ...args: string[]]

  private constructor(words: readonly [string, ...string[]]) {
    this.words = words
  }

  /**
   * From the value of --tpm, words separated by blanks. `socket` may be left out after a bare swtpm: nothing else would do.
   * @throws ToolFailure when the program cannot be found
   */
  static parse(text: string | undefined): TpmCommandLine {
    if (text === undefined) return new TpmCommandLine([ownSwtpm(), 'socket'])
    const [program, ...args] = text.split(/\s+/).filter((word) => word !== '')
    if (program === undefined || findProgram(program) === undefined) {
      throw new ToolFailure(
        `swtpm at ${program ?? '""'} is not an executable; pass --tpm "/path/to/swtpm socket"`,
      )
    }
    if (args.length === 0 && basename(program) === 'swtpm') args.push('socket')
    return new TpmCommandLine([program, ...args])
  }

  get program(): string {
    return this.words[0]
  }

  /**
   * Runs the program to its end and returns what it printed.
   * @throws ToolFailure when it cannot be started or ends with an error
   */
  output(args: readonly string[]): string {
    const [program, ...first] = this.words
    const timeout = waits().start
    const { status, signal, stdout, stderr, error } = spawnSync(program, [...first, ...args], {
      ...{ encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout, killSignal: 'SIGKILL' },
    })
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT') {
      throw new ToolFailure(
        `Could not execute ${this.words.join(' ')} ${args.join(' ')}: no answer within ${timeout / 1000} s; is it swtpm?`,
      )
    }
    if (error !== undefined) throw new ToolFailure(`Could not start swtpm '${program}': ${reasonOf(error)}`)
    if (status !== 0) {
      const end = status === null ? `signal ${signal}` : `status ${status}`
      throw new ToolFailure(`${program} exit with ${end}: ${firstLine(`${stderr}${stdout}`)}`)
    }
    return stdout
  }
}

/** The swtpm of this installation; one that was installed apart is found in PATH. */
function ownSwtpm(): string {
  try {
    return installedFile('bin/swtpm', 'npm run build')
  } catch {
    const found = findProgram('swtpm')
    if (found !== undefined) return found
    throw new ToolFailure("Default TPM 'swtpm' could not be found and was not provided using --tpm.")
  }
}

/** The fault itself: programs print their whole usage after it. */
const firstLine = (text: string): string => text.trim().split('\n', 1)[0] ?? ''
