#!/usr/bin/env node
// Makes the manual pages and the shell completions from the option tables: to read one, or to write them all.

import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compileFunction } from 'node:vm'
import { UserError } from './lib/command.mjs'
import { displayPath, projectRoot } from './lib/paths.mjs'
import { runMain, say } from './lib/terminal.mjs'

const USAGE = `Usage: npm run man [-- PAGE]
       npm run man -- --out DIRECTORY

PAGE is swtpm (the default), swtpm_ioctl, swtpm_ioctls and so on. With --out, all pages and shell completions are
written below DIRECTORY as they are installed below /usr/share.`

/**
 * @returns {Promise<Map<string, string>>} path below a share directory → text
 * @throws {UserError} when a template does not fit the tables
 */
export async function renderDocuments() {
  const entry = path.join(projectRoot, 'man/generator/documents.ts')
  const source = await bundled(entry)
  /** @type {{ exports: { documents?: (root: string) => Map<string, string> } }} */
  const module = { exports: {} }
  const load = compileFunction(source, ['module', 'exports', 'require'], { filename: entry })
  try {
    load(module, module.exports, createRequire(entry))
    return /** @type {Required<typeof module.exports>} */ (module.exports).documents(projectRoot)
  } catch (cause) {
    throw new UserError(/** @type {Error} */ (cause).message, { cause })
  }
}

/** The tables are TypeScript. @param {string} entry @returns {Promise<string>} */
async function bundled(entry) {
  /** @type {typeof import('esbuild')} */
  let esbuild
  try {
    esbuild = createRequire(import.meta.url)('esbuild')
  } catch (cause) {
    throw new UserError('Cannot load esbuild from node_modules', { hint: 'Run `npm run setup`', cause })
  }
  try {
    const { outputFiles } = await esbuild.build({
      entryPoints: [entry],
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node20',
      // Only tables and texts are needed: what the programs themselves use is not loaded.
      packages: 'external',
      write: false,
      logLevel: 'silent',
    })
    return outputFiles[0].text
  } catch (cause) {
    throw new UserError(`Cannot bundle ${displayPath(entry)}`, {
      output: cause instanceof Error ? cause.message : String(cause),
    })
  }
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
