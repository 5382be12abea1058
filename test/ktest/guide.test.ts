/**
 * The blocks of docs/driver-testing.md run as they are printed. Left out are those for a tree that the reader has built, for a debugger,
 * and what installs packages.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { guarded } from '../../src/system/guard.ts'
import { withoutKernel } from '../support/ktest.ts'
import { projectRoot, temporaryDirectory } from '../support/swtpm.ts'

const GUIDE = 'docs/driver-testing.md'
const SERIES = '6.12'
/** The first lines of the guide, which the reader needs once. */
const SET_UP = /^(?:npm run setup|apt-get) .*\n/gm
const NOT_HERE = /~\/linux|\/usr\/src|--gdb|^less/m
/** A suite of the reader's, which any kernel can be judged by. */
const ANY_KERNEL = /(?<=swtpm ktest --kernel )~\/linux(?= --suite \.\/rows\.mjs)/

const blocks = [...readFileSync(join(projectRoot, GUIDE), 'utf8').matchAll(/^```sh\n([\s\S]*?)^```/gm)]
  .map(([, block = '']) => block.replaceAll(SET_UP, '').replace(ANY_KERNEL, SERIES))
  .filter((block) => block.includes('swtpm ktest') && !NOT_HERE.test(block))

const run = (block: string, cwd: string): Promise<{ code: number; output: string }> =>
  new Promise((resolve) => {
    const env = { ...process.env, PATH: `${join(projectRoot, 'bin')}:${process.env.PATH}` }
    const child = execFile('bash', ['-c', block], { cwd, env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (child.exitCode ?? -1), output: `${stdout}${stderr}` })
    })
  })

async function runGuide(): Promise<void> {
  const skip = await withoutKernel(SERIES)
  describe(GUIDE, { skip }, () => {
    it('has blocks that can be run here', () => assert.ok(blocks.length >= 5, `${blocks.length}`))
    for (const block of blocks)
      it(`${block.trim().split('\n').at(0)}`, async (t) => {
        const { code, output } = await run(block, temporaryDirectory(t))
        assert.equal(code, 0, output)
        assert.doesNotMatch(output, /^swtpm ktest: (?!TPM \w+ \(\w+\) has no device)/m)
        assert.doesNotMatch(output, /not found|unexpected/i)
      })
  })
}

guarded(runGuide())
