/** All manual pages, from the templates of a directory. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { makePage } from './page.ts'

/** `swtpm.8` → its text. @throws Error naming file, line and fault */
export function manualPages(directory: string): Map<string, string> {
  const templates = readdirSync(directory)
    .filter((name) => name.endsWith('.in'))
    .sort()
  return new Map(
    templates.map((name) => [
      name.replace(/\.in$/, ''),
      makePage(join('man', name), readFileSync(join(directory, name), 'utf8')),
    ]),
  )
}
