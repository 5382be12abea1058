#!/usr/bin/env node
// Makes the manual pages and the shell completions from the option tables: to read one, or to write them all.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { UserError } from './lib/command.mjs'
import { displayPath, projectRoot } from './lib/paths.mjs'
import { runMain, say } from './lib/terminal.mjs'
import { loadTypeScript } from './lib/typescript.mjs'

const USAGE = `Usage: npm run man [-- PAGE]
       npm run man -- --out DIRECTORY

PAGE is swtpm (the default), swtpm_ioctl, swtpm_ioctls and so on. With --out, all pages and shell completions are
written below DIRECTORY as they are installed below /usr/share.`

/**
 * @returns {Promise<Map<string, string>>} path below a share directory → text
 * @throws {UserError} when a template does not fit the tables
 */
export async function renderDocuments() {
  if (!existsSync(path.join(projectRoot, 'man'))) return madeBefore()
  /** @type {{ documents(root: string): Map<string, string> }} */
  const { documents } = await loadTypeScript('man/generator/documents.ts')
  try {
    return documents(projectRoot)
  } catch (cause) {
    throw new UserError(/** @type {Error} */ (cause).message, { cause })
  }
}

/** The npm package has them ready, and not the tables. @returns {Map<string, string>} */
function madeBefore() {
  const share = path.join(projectRoot, 'dist/share')
  const files = readdirSync(share, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return new Map(
    files.map((entry) => {
      const file = path.join(entry.parentPath ?? entry.path, entry.name)
      return [path.relative(share, file), readFileSync(file, 'utf8')]
    }),
  )
}

async function main() {
  const { out, page = 'swtpm' } = parseArguments()
  const documents = await renderDocuments()
  if (out !== undefined) {
    for (const [name, text] of documents) {
      const file = path.join(out, name)
      await mkdir(path.dirname(file), { recursive: true })
      await writeFile(file, text)
      say(displayPath(file))
    }
    return 0
  }
  const pages = [...documents].filter(([name]) => name.startsWith('man/'))
  const found = pages.find(([name]) => path.basename(name).replace(/\.\d$/, '') === page.replace(/\.\d$/, ''))
  if (!found) {
    const names = pages.map(([name]) => path.basename(name)).join(', ')
    throw new UserError(`No manual page "${page}"`, { hint: `There are ${names}` })
  }
  const { error, status } = spawnSync('man', ['-l', '-'], {
    input: found[1],
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  if (error)
    throw new UserError(`Cannot run "man": ${error.message}`, { hint: 'Install man-db, or use --out' })
  return status ?? 1
}

function parseArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { out: { type: 'string' } },
    })
    if (positionals.length > 1) throw new Error(`Unexpected "${positionals[1]}"`)
    return { out: values.out, page: positionals[0] }
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), { hint: USAGE })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) runMain(main)
