/** The programs in README.md and in the guide to scripting run as they are printed. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { projectRoot } from '../../support/swtpm.ts'

const FOLDER = join(projectRoot, 'build/guide')

describe('the programs of the documents', () => {
  before(() => mkdirSync(FOLDER, { recursive: true }))
  after(() => rmSync(FOLDER, { recursive: true, force: true }))
  for (const document of ['README.md', 'docs/scripting.md']) {
    const text = readFileSync(join(projectRoot, document), 'utf8')
    const programs = [...text.matchAll(/^```js\n([\s\S]*?)^```/gm)].map(([, code = '']) => code)

    it(`${document} has some`, () => assert.ok(programs.length > 0))
    for (const [index, code] of programs.entries()) {
      it(`${document}, program ${index + 1}`, async () => {
        const file = join(FOLDER, `${document.replace('/', '-')}-${index}.mjs`)
        writeFileSync(file, code)
        const { NODE_TEST_CONTEXT: _, ...env } = process.env
        await promisify(execFile)(process.execPath, [file], { timeout: 60_000, env })
      })
    }
  }
})
