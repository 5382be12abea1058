/**
 * Everything that is made from the tables for people and shells: where it belongs below a `share` directory → its text.
 *
 * Nothing of this is checked in: it is made when it is installed or tested, so that it cannot fall behind the tables. The prose
 * (man/*.in) is written by hand.
 */
import { join } from 'node:path'
import { completionFiles } from '../../completions/files.ts'
import { manualPages } from './pages.ts'

/** @param root the project's top directory */
export function documents(root: string): Map<string, string> {
  const { bash, zsh } = completionFiles(join(root, 'completions'))
  return new Map([
    ...[...manualPages(join(root, 'man'))].map(
      ([name, text]) => [`man/man${name.slice(-1)}/${name}`, text] as const,
    ),
    ...[...bash].map(([name, text]) => [`bash-completion/completions/${name}`, text] as const),
    ...[...zsh].map(([name, text]) => [`zsh/site-functions/${name}`, text] as const),
  ])
}
