/** Whether there are compilers for tests that bring programs and libraries of their own. */
import { execFileSync } from 'node:child_process'

/** @returns why there can be none, or false */
export const noCompiler = (): string | false => missing('cc', 'there is no C compiler: apt-get install gcc')

/** @returns why there can be none, or false */
export const noCxxCompiler = (): string | false =>
  missing('c++', 'there is no C++ compiler: apt-get install g++')

function missing(command: string, reason: string): string | false {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' })
    return false
  } catch {
    return reason
  }
}
