// Set-up step: the native layer, which is the engine (one process for each TPM) and the addon.

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { run } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'
import { compileEnvironment } from './node-headers.mjs'

const SOURCES = path.join(projectRoot, 'native')
const BUILT = path.join(SOURCES, 'build')
const RESULTS = ['Release/tpm-engine', 'Release/swtpm_native.node'].map((file) => path.join(BUILT, file))
/** Says from which sources the results were made. */
const STAMP = path.join(BUILT, '.sources')

/** @returns {import('./steps.mjs').SetupStep} */
export function nativeLayer() {
  return {
    title: 'native layer',
    isDone: () =>
      [...RESULTS, STAMP].every((file) => existsSync(file)) && readFileSync(STAMP, 'utf8') === stamp(),
    announce: () => 'Compile the native layer: npm run build:native',
    run: async (progress) => {
      const before = stamp()
      await run('npm', ['run', 'build:native'], {
        cwd: projectRoot,
        env: compileEnvironment(),
        onLine: progress,
        hint: 'If the sources are as they came, `rm -rf native/build` makes it start afresh',
      })
      // Taken before: sources that changed meanwhile are compiled the next time.
      writeFileSync(STAMP, before)
    },
  }
}

/** @returns {string} changes whenever compiling again may give another result */
function stamp() {
  const hash = createHash('sha256').update(process.version)
  const addonApi = path.join(projectRoot, 'node_modules/node-addon-api/package.json')
  for (const file of [addonApi, ...sourceFiles()]) {
    hash.update(path.relative(projectRoot, file)).update('\0').update(readFileSync(file)).update('\0')
  }
  return hash.digest('hex')
}

/** @returns {string[]} */
function sourceFiles() {
  return readdirSync(SOURCES, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .filter((file) => !file.startsWith(`${BUILT}/`))
    .sort()
}
