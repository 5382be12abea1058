#!/usr/bin/env node
// Gathers the licenses of what is bundled into dist/*.js, as those ask for, into dist/LICENSES.txt.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'
import { runMain } from '../lib/terminal.mjs'

const DIST = path.join(projectRoot, 'dist')
const PACKAGE = /(?:^|\/)(node_modules\/(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)\//

/** @typedef {{ name: string, version: string, license: string, text: string }} Bundled */

/** @returns {Bundled[]} by name @throws {UserError} when nothing has been bundled, or a package has no license with it */
export function bundledPackages() {
  const maps = existsSync(DIST) ? readdirSync(DIST).filter((name) => name.endsWith('.js.map')) : []
  if (maps.length === 0)
    throw new UserError('Cannot say what is bundled: dist/ is empty', { hint: 'Run `npm run build:js`' })
  const folders = new Set(
    maps.flatMap((name) => {
      /** @type {{ sources: string[] }} */
      const { sources } = JSON.parse(readFileSync(path.join(DIST, name), 'utf8'))
      return sources.flatMap((source) => PACKAGE.exec(source)?.[1] ?? [])
    }),
  )
  return [...folders].sort().map(describe)
}

/** @param {string} folder @returns {Bundled} */
function describe(folder) {
  const inside = path.join(projectRoot, folder)
  const { name, version, license } = JSON.parse(readFileSync(path.join(inside, 'package.json'), 'utf8'))
  const file = readdirSync(inside).find((each) => /^(licen[cs]e|copying)/i.test(each))
  if (file === undefined) throw new UserError(`The package "${name}" comes without the text of its license`)
  return { name, version, license, text: readFileSync(path.join(inside, file), 'utf8').trim() }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  runMain(async () => {
    const parts = bundledPackages().map(
      ({ name, version, license, text }) => `${name} ${version} (${license})\n\n${text}\n`,
    )
    const intro = 'The programs and the library contain, besides swtpm itself (LICENSE):\n'
    writeFileSync(path.join(DIST, 'LICENSES.txt'), [intro, ...parts].join(`\n${'-'.repeat(80)}\n\n`))
  })
}
