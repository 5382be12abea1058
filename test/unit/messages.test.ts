/** The form of messages, as far as their source shows it. CONTRIBUTING.md has the rule. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { projectRoot } from './man/project-root.ts'

function sources(): string[] {
  return ['src', 'native/engine', 'native/state', 'native/common'].flatMap((room) =>
    readdirSync(join(projectRoot, room), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(ts|cc|h)$/.test(name))
      .map((name) => join(room, name)),
  )
}

test('no message begins with "Error: "', () => {
  const offending = sources().filter((path) =>
    /['"`]Error: /.test(readFileSync(join(projectRoot, path), 'utf8')),
  )
  assert.deepEqual(offending, [])
})

/** What has one place in the sources, so that no failure is told in another way. */
const ONE_PLACE: readonly (readonly [what: string, pattern: RegExp, ...files: string[]])[] = [
  ['prints a stack', /\.stack\b/, 'src/system/fault.ts'],
  ['takes the working directory for granted', /process\.cwd\(/, 'src/system/surroundings.ts'],
  // It is loaded before anything else is.
  [
    'writes past printOut() and printError()',
    /process\.std(out|err)\.write/,
    'src/programs/common/launcher.ts',
  ],
]

for (const [what, pattern, ...files] of ONE_PLACE) {
  test(`no file but ${files.join(', ')} ${what}`, () => {
    const found = sources().filter((path) => pattern.test(readFileSync(join(projectRoot, path), 'utf8')))
    assert.deepEqual(found, files)
  })
}
