// Loads a TypeScript module of the project into a script.

import { createRequire } from 'node:module'
import path from 'node:path'
import { compileFunction } from 'node:vm'
import { UserError } from './command.mjs'
import { projectRoot } from './paths.mjs'

/**
 * @param {string} file relative to the project
 * @returns {Promise<any>} what it exports
 * @throws {UserError} when it cannot be bundled
 */
export async function loadTypeScript(file) {
  const entry = path.join(projectRoot, file)
  const source = await bundled(entry, file)
  const module = { exports: {} }
  const load = compileFunction(source, ['module', 'exports', 'require'], { filename: entry })
  load(module, module.exports, createRequire(entry))
  return module.exports
}

/** @param {string} entry @param {string} file @returns {Promise<string>} */
async function bundled(entry, file) {
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
      loader: { '.sh': 'text' },
      write: false,
      logLevel: 'silent',
    })
    return outputFiles[0].text
  } catch (cause) {
    throw new UserError(`Cannot bundle ${file}`, {
      output: cause instanceof Error ? cause.message : String(cause),
    })
  }
}
