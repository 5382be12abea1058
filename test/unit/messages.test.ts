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
