/** All completion files. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bashCompletion } from './bash.ts'
import { programs } from './program.ts'
import { zshCompletion } from './zsh.ts'

/**
 * Shell → name of the file as the shell looks for it → text.
 * @param directory where engine.bash is
 */
export function completionFiles(directory: string): { bash: Map<string, string>; zsh: Map<string, string> } {
  const engine = readFileSync(join(directory, 'engine.bash'), 'utf8')
  return {
    bash: new Map(programs.map((program) => [program.name, bashCompletion(program, engine)])),
    zsh: new Map(programs.map((program) => [`_${program.name}`, zshCompletion(program)])),
  }
}
