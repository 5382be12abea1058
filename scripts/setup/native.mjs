// Set-up steps: what is compiled. The native layer is the engine (one process for each TPM) and the addon.

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { run } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'
import { compileEnvironment } from './node-headers.mjs'

const NATIVE = path.join(projectRoot, 'native')
const BENCH = path.join(NATIVE, 'bench')

/** @returns {import('./steps.mjs').SetupStep} */
export function nativeLayer() {
  return compiled({
    title: 'native layer',
    script: 'build:native',
    folder: NATIVE,
    results: ['tpm-engine', 'swtpm_native.node'],
    isSource: (file) => !file.startsWith(`${BENCH}/`),
  })
}

/** @returns {import('./steps.mjs').SetupStep} only `npm run bench` and the tests of bench need them */
export function measuringPrograms() {
  return compiled({
    title: 'programs that measure',
    script: 'build:bench',
    folder: BENCH,
    results: ['bench-client', 'bench-server', 'bench-start', 'heap-counter.so'],
    isSource: (file) => ['bench', 'common', '.'].includes(path.relative(NATIVE, path.dirname(file)) || '.'),
  })
}

/**
 * @param {object} what
 * @param {string} what.title
 * @param {string} what.script of package.json, which compiles it
 * @param {string} what.folder with its binding.gyp
 * @param {string[]} what.results
 * @param {(file: string) => boolean} what.isSource takes a file below native/
 * @returns {import('./steps.mjs').SetupStep}
 */
function compiled({ title, script, folder, results, isSource }) {
  const built = path.join(folder, 'build')
  // Says from which sources the results were made.
  const stampFile = path.join(built, '.sources')
  const files = [stampFile, ...results.map((name) => path.join(built, 'Release', name))]
  return {
    title,
    isDone: () =>
      files.every((file) => existsSync(file)) && readFileSync(stampFile, 'utf8') === stamp(isSource),
    announce: () => `Compile the ${title}: npm run ${script}`,
    run: async (progress) => {
      const before = stamp(isSource)
      await run('npm', ['run', script], {
        cwd: projectRoot,
        env: compileEnvironment(),
        onLine: progress,
        hint: `If the sources are as they came, \`rm -rf ${path.relative(projectRoot, built)}\` makes it start afresh`,
      })
      // Taken before: sources that changed meanwhile are compiled the next time.
      writeFileSync(stampFile, before)
    },
  }
}

/** @param {(file: string) => boolean} isSource @returns {string} changes whenever compiling again may give another result */
function stamp(isSource) {
  const hash = createHash('sha256').update(process.version)
  const addonApi = path.join(projectRoot, 'node_modules/node-addon-api/package.json')
  for (const file of [addonApi, ...filesOfNative().filter(isSource)]) {
    hash.update(path.relative(projectRoot, file)).update('\0').update(readFileSync(file)).update('\0')
  }
  return hash.digest('hex')
}

/** @returns {string[]} */
function filesOfNative() {
  return readdirSync(NATIVE, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .filter((file) => !path.relative(NATIVE, file).split(path.sep).includes('build'))
    .sort()
}
