#!/usr/bin/env node
// Bundles the programs (src/programs/swtpm_ioctl/main.ts to dist/swtpm_ioctl.main.js and so on) and the test files.
//
// One file for each program, because a program made of hundreds of modules takes Node twice as long to start. It is run by
// a launcher (dist/swtpm_ioctl.js), which gives V8 what it compiled when the program was built.

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { recordCodeCaches } from './lib/code-cache.mjs'
import { capture, UserError } from './lib/command.mjs'
import { displayPath, projectRoot } from './lib/paths.mjs'
import { runMain, step } from './lib/terminal.mjs'

const SOURCES = path.join(projectRoot, 'src/programs')
const LAUNCHER = path.join(projectRoot, 'src/programs/common/launcher.ts')
const LIBRARY = path.join(projectRoot, 'src/library')
const EFFECTS = path.join(LIBRARY, 'effects.ts')
const PROGRAMS = path.join(projectRoot, 'dist')
const TESTS = path.join(projectRoot, 'test')
/** yargs is written for ES modules and asks for its own address, which CommonJS does not have. */
const WITH_ADDRESS = {
  define: { 'import.meta.url': '__bundleUrl' },
  banner: { js: "const __bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
}
/** What only help needs, and is most of a program: a file of its own beside the programs, dist/yargs.js. */
const LOADED_LATER = 'yargs'
/** A part of `swtpm` that is large and no part of serving TPMs: a file of its own beside it, dist/ktest.js. */
const APART = { name: 'ktest', source: 'swtpm/ktest/ktest-command.ts' }
/** What loads a module of the user: import() works where Node has loaded the file itself, which is not so of the programs. */
const IMPORTER = { name: 'import-module', source: '../serve/scripting/import-module.ts' }
/** Where the bundled test files are, in the tree that they have under test/. */
export const BUILT_TESTS = path.join(projectRoot, 'build/test')

/** @type {import('esbuild').BuildOptions} */
const SHARED = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  sourcemap: 'linked',
  legalComments: 'none',
  // The launchers read the programs byte by byte.
  charset: 'ascii',
  logLevel: 'silent',
  absWorkingDir: projectRoot,
  // Native code is loaded from where it was built.
  external: ['ioctl', '*.node'],
  loader: { '.sh': 'text' },
  // Files are written by us, and only those that differ: a program that runs meanwhile never finds half a file.
  write: false,
}

/** @type {import('esbuild').Plugin} */
const leaveApart = {
  name: 'leave apart',
  setup: (build) => {
    for (const { name, source } of [APART, IMPORTER]) {
      const filter = new RegExp(`/${path.basename(source)}$`)
      build.onResolve({ filter }, () => ({ path: `./${name}.js`, external: true }))
    }
  },
}

/** @returns {Promise<number>} how many files changed */
export async function buildPrograms() {
  const programs = (await readdir(SOURCES)).filter((name) => existsSync(path.join(SOURCES, name, 'main.ts')))
  let changed = await bundle({
    entryPoints: programs.map((name) => ({ in: path.join(SOURCES, name, 'main.ts'), out: `${name}.main` })),
    outdir: PROGRAMS,
    external: [...(SHARED.external ?? []), `./${LOADED_LATER}.js`],
    alias: { [LOADED_LATER]: `./${LOADED_LATER}.js` },
    plugins: [leaveApart],
    // Names stay, for traces.
    minifyWhitespace: true,
    // import() of Node's own modules too: it would bring up the loader for ES modules.
    supported: { 'dynamic-import': false },
  })
  changed += await bundle({
    entryPoints: [{ in: path.join(SOURCES, APART.source), out: APART.name }],
    outdir: PROGRAMS,
    external: [...(SHARED.external ?? []), `./${LOADED_LATER}.js`],
    alias: { [LOADED_LATER]: `./${LOADED_LATER}.js` },
    minifyWhitespace: true,
    supported: { 'dynamic-import': false },
  })
  changed += await bundle({
    entryPoints: [{ in: path.join(SOURCES, IMPORTER.source), out: IMPORTER.name }],
    outdir: PROGRAMS,
    minifyWhitespace: true,
  })
  changed += await bundle({
    entryPoints: [{ in: LOADED_LATER, out: LOADED_LATER }],
    outdir: PROGRAMS,
    ...WITH_ADDRESS,
  })
  const caches = new Map()
  for (const name of programs) {
    const main = `${name}.main.js`
    const digest = createHash('sha256')
      .update(await readFile(path.join(PROGRAMS, main)))
      .digest('hex')
    const cache = `${name}.${digest.slice(0, 16)}.cache`
    caches.set(name, path.join(PROGRAMS, cache))
    changed += await bundle({
      entryPoints: [{ in: LAUNCHER, out: name }],
      outdir: PROGRAMS,
      sourcemap: false,
      define: { PROGRAM: JSON.stringify(main), CODE_CACHE: JSON.stringify(cache) },
    })
  }
  await removeOthers(caches)
  await recordCodeCaches(process.execPath, caches)
  return changed
}

/**
 * What programs import: `swtpm` is dist/index.js, `swtpm/faults` dist/faults.js, which has its functions from the former.
 * @returns {Promise<number>} how many files changed
 */
export async function buildLibrary() {
  const index = { entryPoints: [{ in: path.join(LIBRARY, 'index.ts'), out: 'index' }] }
  const faults = {
    entryPoints: [{ in: path.join(LIBRARY, 'faults.ts'), out: 'faults' }],
    plugins: [EFFECTS_OF_INDEX],
  }
  let changed = 0
  for (const entry of [index, faults]) {
    changed += await bundle({ ...entry, outdir: PROGRAMS, ...WITH_ADDRESS })
  }
  return changed
}

/** @type {import('esbuild').Plugin} */
const EFFECTS_OF_INDEX = {
  name: 'effects-of-index',
  setup(build) {
    build.onResolve({ filter: /\/effects\.ts$/ }, () => ({ path: EFFECTS, namespace: 'of-index' }))
    build.onLoad({ filter: /.*/, namespace: 'of-index' }, async () => {
      const source = await readFile(EFFECTS, 'utf8')
      const names = [...source.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, list]) =>
        (list ?? '').split(','),
      )
      const lines = names.map((name) => `export const ${name.trim()} = effects.${name.trim()}`)
      return {
        contents: [`import { effects } from './index.js'`, ...lines].join('\n'),
        loader: 'js',
        resolveDir: LIBRARY,
      }
    })
    build.onResolve({ filter: /^\.\/index\.js$/ }, () => ({ path: './index.js', external: true }))
  },
}

/** Their types: dist/types. @returns {Promise<void>} */
export async function buildTypes() {
  capture(process.execPath, [path.join(projectRoot, 'node_modules/typescript/bin/tsc'), '-p', LIBRARY], {
    cwd: projectRoot,
  })
}

/** @returns {Promise<number>} how many files changed */
export async function buildTests() {
  const sources = (await filesBelow(TESTS)).filter((name) => name.endsWith('.test.ts'))
  // The benchmark is a program of its own among the tests, whose support it uses.
  sources.push('bench/main.ts')
  const changed = await bundle({
    entryPoints: sources.map((name) => path.join(TESTS, name)),
    outbase: TESTS,
    outdir: BUILT_TESTS,
    ...WITH_ADDRESS,
  })
  await removeLeftovers(new Set(sources.map((name) => name.replace(/\.ts$/, '.js'))))
  return changed
}

/** @param {import('esbuild').BuildOptions} options @returns {Promise<number>} how many files changed */
async function bundle(options) {
  const esbuild = loadEsbuild()
  try {
    const { outputFiles } = await esbuild.build({ ...SHARED, ...options })
    const written = await Promise.all(
      (outputFiles ?? []).map((file) => writeIfChanged(file.path, file.contents)),
    )
    return written.filter(Boolean).length
  } catch (error) {
    const errors = /** @type {{ errors?: import('esbuild').Message[] }} */ (error).errors
    if (!errors) throw error
    const lines = await esbuild.formatMessages(errors, { kind: 'error', color: process.stderr.isTTY })
    throw new UserError(`Cannot bundle into ${displayPath(options.outdir ?? '')}: ${errors.length} errors`, {
      output: lines.join('\n'),
    })
  }
}

/** @returns {typeof import('esbuild')} */
function loadEsbuild() {
  try {
    return createRequire(import.meta.url)('esbuild')
  } catch (cause) {
    throw new UserError('Cannot load esbuild from node_modules', { hint: 'Run `npm run setup`', cause })
  }
}

/** @param {string} target @param {string | Uint8Array} contents @returns {Promise<boolean>} whether it was written */
async function writeIfChanged(target, contents) {
  const bytes = Buffer.from(contents)
  const present = await readFile(target).catch(() => undefined)
  if (present?.equals(bytes)) return false
  await mkdir(path.dirname(target), { recursive: true })
  const scratch = `${target}.${process.pid}`
  await writeFile(scratch, bytes)
  await rename(scratch, target)
  return true
}

/** @param {string} directory @returns {Promise<string[]>} the files in and below it, relative to it */
async function filesBelow(directory) {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries.filter((entry) => entry.isFile())
  return files.map((entry) => path.relative(directory, path.join(entry.parentPath ?? entry.path, entry.name)))
}

/** Caches of programs as they were before. @param {Map<string, string>} caches those of now */
async function removeOthers(caches) {
  const current = new Set(caches.values())
  for (const name of await readdir(PROGRAMS)) {
    const file = path.join(PROGRAMS, name)
    if (name.endsWith('.cache') && !current.has(file)) await rm(file, { force: true })
  }
}

/** A test whose source is gone must not be run any more. @param {Set<string>} current relative to BUILT_TESTS */
async function removeLeftovers(current) {
  for (const file of await filesBelow(BUILT_TESTS)) {
    if (!current.has(file.replace(/\.map$/, ''))) await rm(path.join(BUILT_TESTS, file), { force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  runMain(async () => {
    await step('Bundle the programs into dist/', buildPrograms)
    await step('Bundle the library into dist/', buildLibrary)
    if (process.argv.includes('--types')) await step('Write the types of the library', buildTypes)
    if (process.argv.includes('--tests')) await step('Bundle the tests into build/test/', buildTests)
  })
}
