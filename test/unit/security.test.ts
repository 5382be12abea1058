/** What SECURITY.md promises names the tests that hold it. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { projectRoot } from '../support/swtpm.ts'

const text = readFileSync(join(projectRoot, 'SECURITY.md'), 'utf8')

/** The text below a heading, up to the next one. */
function section(heading: string): string {
  const [, below] = text.split(`\n${heading}\n`)
  assert.ok(below !== undefined, heading)
  return below.split(/\n#+ /)[0] as string
}

const tests = new Map(
  [...section('### Which test holds what').matchAll(/^\| ([\w ]+) \| (.*) \|$/gm)].map(
    ([, name, files]) => [name as string, files as string] as const,
  ),
)
/** Not links: `[text](address)`. */
const references = [...text.matchAll(/\[([A-Za-z][\w ]*)\](?!\()/g)].map(([, name]) => name as string)

describe('the tests that SECURITY.md names', () => {
  it('are there', () => {
    assert.ok(tests.size > 20)
    for (const [, path] of text.matchAll(/`(test\/[^`]*)`/g)) {
      assert.ok(existsSync(join(projectRoot, path as string)), path)
    }
    for (const [name, files] of tests) assert.match(files, /`test\/[^`]*\.test\.ts`/, name)
  })

  it('are in the list, and what the list has is referred to', () => {
    assert.deepEqual(
      references.filter((name) => !tests.has(name)),
      [],
    )
    assert.deepEqual(
      [...tests.keys()].filter((name) => !references.includes(name)),
      [],
    )
  })

  it('stand in each paragraph of what a layer stops', () => {
    const paragraphs = section('## What each layer stops')
      .split('\n\n')
      .filter((paragraph) => paragraph.startsWith('**'))
    assert.ok(paragraphs.length > 10)
    for (const paragraph of paragraphs) assert.match(paragraph, /\[[a-zA-Z][\w ]*\](?!\()/, paragraph)
  })
})
