#!/usr/bin/env node
// Checks the format of the C++ sources, or with --write sets it right.

import { readdirSync } from 'node:fs'
import path from 'node:path'
import { whyFormatUnchecked } from './lib/clang-format-version.mjs'
import { capture, UserError } from './lib/command.mjs'
import { displayPath, projectRoot } from './lib/paths.mjs'
import { note, runMain } from './lib/terminal.mjs'

const SOURCES = path.join(projectRoot, 'native')

runMain(async () => {
  const write = process.argv.includes('--write')
  const reason = whyFormatUnchecked()
  if (reason) {
    note(`C++ sources ${write ? 'left as they are' : 'not checked'}: ${reason}`)
    return
  }
  const files = readdirSync(SOURCES, { recursive: true })
    .map(String)
    .filter((file) => /\.(h|cc)$/.test(file) && !/(^|\/)(build|generated)\//.test(file))
    .map((file) => displayPath(path.join(SOURCES, file)))
  if (files.length === 0) throw new UserError(`No C++ sources in "${displayPath(SOURCES)}"`)
  const mode = write ? ['-i'] : ['--dry-run', '-Werror']
  capture('clang-format', [...mode, ...files], { cwd: projectRoot, hint: 'Run `npm run format`' })
})
