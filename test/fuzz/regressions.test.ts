/** What the fuzzers have found, byte by byte. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { startEngineTpm } from '../hard/support/engine-tpm.ts'
import { projectRoot, temporaryDirectory } from '../support/swtpm.ts'

describe('a linear file', () => {
  const good = readFileSync(join(projectRoot, 'test/vectors/fuzz-state/linear/linear'))
  const changed = (offset: number, hex: string): Buffer => {
    const bytes = Buffer.from(good)
    bytes.write(hex, offset, 'hex')
    return bytes
  }
  const refused: { readonly [what: string]: Buffer } = {
    // These were taken for new ones, and a new TPM was written over the one there was.
    'whose permanent state has a size and no place': changed(12, '00000000'),
    'cut off in its header': good.subarray(0, 100),
    'without its first bytes': good.subarray(3),
    'that is something else': Buffer.from('#!/bin/sh\n'.repeat(100)),
  }
  for (const [what, content] of Object.entries(refused)) {
    it(`${what} is refused and left alone`, async (t) => {
      const path = join(temporaryDirectory(t), 'linear')
      writeFileSync(path, content)
      await assert.rejects(startEngineTpm({ path, backend: 'linear' }), /it exited with status 1/)
      assert.ok(readFileSync(path).equals(content))
    })
  }

  for (const size of [0, 100, 65536]) {
    it(`of ${size} zero bytes is a new one`, async (t) => {
      const path = join(temporaryDirectory(t), 'linear')
      writeFileSync(path, Buffer.alloc(size))
      const engine = await startEngineTpm({ path, backend: 'linear' })
      t.after(() => engine.close())
      assert.equal((await engine.verb('INIT', { initFlags: 0 })).tpmResult, 0)
    })
  }
})
