#!/usr/bin/env node
// Makes what comes from contract/*.ts: the C++ header and the tables of the wire document. `--check` only compares.

import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from './lib/command.mjs'
import { projectRoot } from './lib/paths.mjs'
import { runMain, say } from './lib/terminal.mjs'
import { loadTypeScript } from './lib/typescript.mjs'

/** @returns {Promise<string[]>} the files that differ from what the contract says; they are written unless `checkOnly` */
export async function makeContract({ checkOnly = false } = {}) {
  /** @type {typeof import('../contract/generator/outputs.ts')} */
  const { outputs } = await loadTypeScript('contract/generator/outputs.ts')
  const read = (/** @type {string} */ file) => readFileSync(path.join(projectRoot, file), 'utf8')
  const stale = [...outputs(read)].filter(([file, text]) => {
    try {
      return read(file) !== text
    } catch {
      return true
    }
  })
  if (!checkOnly) for (const [file, text] of stale) writeFileSync(path.join(projectRoot, file), text)
  return stale.map(([file]) => file)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  runMain(async () => {
    const checkOnly = process.argv.includes('--check')
    const files = await makeContract({ checkOnly })
    if (checkOnly && files.length > 0) {
      throw new UserError(`Not as the contract says: ${files.join(', ')}`, { hint: 'Run `npm run contract`' })
    }
    for (const file of files) say(file)
    return 0
  })
}
