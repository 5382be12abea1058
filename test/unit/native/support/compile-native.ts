/** Small C++ programs that use one part of native/ by itself. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type Cleanup, projectRoot, temporaryDirectory } from '../../../support/swtpm.ts'

/** @param sources paths from the project's root. @returns the program's path */
export function compileNative(t: Cleanup, ...sources: readonly string[]): string {
  const program = join(temporaryDirectory(t), 'program')
  const files = sources.map((file) => join(projectRoot, file))
  execFileSync('c++', ['-std=c++20', '-I', join(projectRoot, 'native'), '-o', program, ...files])
  return program
}
