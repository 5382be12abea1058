/** Every example in the docstrings of the library runs, as a program of its own that has the package installed. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { projectRoot } from '../../support/swtpm.ts'

/** It finds its program beside itself, so that it is not bundled with this test. */
const esbuild: typeof import('esbuild') = createRequire(join(projectRoot, 'package.json'))('esbuild')
const run = promisify(execFile)
/** Inside of the project, whose programs can import it by its name. */
const FOLDER = join(projectRoot, 'build/examples')

interface Example {
  readonly name: string
  readonly code: string
}

/** Fenced code, in the docstrings of a file. */
function fenced(file: string): Example[] {
  const text = readFileSync(file, 'utf8').replace(/^ +\* ?/gm, '')
  return [...text.matchAll(/```js(?: (\S+))?\n([\s\S]*?)```/g)]
    .filter(([, needs]) => needs === undefined)
    .map(([, , code = ''], index) => ({ name: `${file.split('/').at(-1)} ${index + 1}`, code }))
}

/** The one-line examples of effects, in one program: each has a TPM, and all of swtpm/faults. */
function effects(folder: string): Example {
  const lines = readdirSync(folder)
    .map((name) => join(folder, name))
    .flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/@example (.*)/g)])
    .map(([, line = '']) => line)
  assert.ok(lines.length > 20, `${lines.length} examples`)
  return {
    name: 'effects',
    code: [
      `import { createTpm } from 'swtpm'`,
      `import * as faults from 'swtpm/faults'`,
      `const { ${Object.keys(EFFECT_NAMES).join(', ')} } = faults`,
      ...lines.map((line) => `{\n  await using tpm = await createTpm()\n  ${line}\n}`),
    ].join('\n'),
  }
}

const EFFECT_NAMES = Object.fromEntries(
  [...readFileSync(join(projectRoot, 'src/library/effects.ts'), 'utf8').matchAll(/^export \{([^}]*)\}/gm)]
    .flatMap(([, names = '']) => names.split(','))
    .map((name) => [name.trim(), true]),
)

describe('the examples in the docstrings', () => {
  before(() => mkdirSync(FOLDER, { recursive: true }))
  after(() => rmSync(FOLDER, { recursive: true, force: true }))

  const library = join(projectRoot, 'src/library')
  const examples = [
    ...readdirSync(library)
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => fenced(join(library, name))),
    effects(join(projectRoot, 'src/responders/effects')),
  ]

  it('are there', () => assert.ok(examples.length > 12, `${examples.length} examples`))

  for (const [index, { name, code }] of examples.entries()) {
    it(`run: ${name}`, async () => {
      // Node itself has `await using` from version 24 on.
      const program = await esbuild.transform(code, { format: 'esm', target: 'node20' })
      const file = join(FOLDER, `example-${index}.mjs`)
      writeFileSync(file, program.code)
      await run(process.execPath, [file], { timeout: 60_000 })
    })
  }
})
