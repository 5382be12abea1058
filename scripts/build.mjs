#!/usr/bin/env node
// Bundles the programs (src/programs/swtpm_ioctl/main.ts to dist/swtpm_ioctl.main.js and so on) and the test files.
//
// One file for each program, because a program made of hundreds of modules takes Node twice as long to start. It is run by
// a launcher (dist/swtpm_ioctl.js), which gives V8 what it compiled when the program was built.

import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { codeCacheOf, marked, recordCodeCaches } from './lib/code-cache.mjs'
import { capture, UserError } from './lib/command.mjs'
import { displayPath, projectRoot } from './lib/paths.mjs'
import { splitProgram } from './lib/split-program.mjs'
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
/** What loads a module of the user: import() works where Node has loaded the file itself, which is not so of the programs. */
const IMPORTER = { name: 'import-module', source: '../serve/scripting/import-module.ts' }
/** A program of which a start needs less than half. */
const SPLIT = 'swtpm'
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
  external: ['ioctl', 'fuse-native', '*.node'],
  loader: { '.sh': 'text' },
}

/** @type {import('esbuild').Plugin} */
const leaveApart = {
  name: 'leave apart',
  setup: (build) => {
    const filter = new RegExp(`/${path.basename(IMPORTER.source)}$`)
    build.onResolve({ filter }, () => ({ path: `./${IMPORTER.name}.js`, external: true }))
  },
}

/** @type {import('esbuild').BuildOptions} */
const PROGRAM = {
  external: [...(SHARED.external ?? []), `./${LOADED_LATER}.js`],
  alias: { [LOADED_LATER]: `./${LOADED_LATER}.js` },
  // Names stay, for traces.
  minifyWhitespace: true,
  // import() of Node's own modules too: it would bring up the loader for ES modules.
  supported: { 'dynamic-import': false },
}

/** @returns {Promise<number>} how many files changed */
export async function buildPrograms() {
  const programs = (await readdir(SOURCES)).filter((name) => existsSync(path.join(SOURCES, name, 'main.ts')))
  const mainOf = (/** @type {string} */ name) => path.join(SOURCES, name, 'main.ts')
  const split = await splitProgram(
    ({ plugins = [], ...options }) => build({ ...PROGRAM, ...options, plugins: [leaveApart, ...plugins] }),
    {
      name: SPLIT,
      main: mainOf(SPLIT),
      outdir: PROGRAMS,
    },
  )
  let changed = await write(split)
  changed += await bundle({
    entryPoints: programs
      .filter((name) => name !== SPLIT)
      .map((name) => ({ in: mainOf(name), out: `${name}.main` })),
    outdir: PROGRAMS,
    ...PROGRAM,
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
  const later = split.map((file) => file.path).filter((file) => /\.later\..*\.js$/.test(file))
  const caches = []
  for (const name of programs) {
    const main = path.join(PROGRAMS, `${name}.main.js`)
    const sources = name === SPLIT ? [main, ...later] : [main]
    for (const source of sources) await requireAscii(source)
    const names = sources.map((source) => [`./${path.basename(source)}`, codeCacheOf(source)])
    caches.push(...names.map(([, cache = '']) => path.join(PROGRAMS, cache)))
    changed += await bundle({
      entryPoints: [{ in: LAUNCHER, out: name }],
      outdir: PROGRAMS,
      sourcemap: false,
      define: {
        PROGRAM: JSON.stringify(`./${name}.main.js`),
        CODE_CACHES: JSON.stringify(Object.fromEntries(names)),
      },
    })
  }
  await removeOthers(new Set([...caches, ...split.map((file) => file.path)]))
  await recordCodeCaches(process.execPath, caches)
  return changed
}

/** `charset` does not reach into regular expressions. @param {string} file @throws UserError */
async function requireAscii(file) {
  const text = await readFile(file, 'utf8')
  const at = text.search(/[^\0-\x7f]/)
  if (at < 0) return
  const found = text.codePointAt(at) ?? 0
  throw new UserError(
    `${path.basename(file)} has a character that is not ASCII: …${text.slice(Math.max(0, at - 40), at + 10)}…`,
    {
      hint: `In a regular expression write \\u${found.toString(16).padStart(4, '0')}; launchers read programs byte by byte`,
    },
  )
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
  const { outputFiles } = await build(options)
  return write(outputFiles)
}

/** @type {import('./lib/split-program.mjs').Build} */
async function build(options) {
  const esbuild = loadEsbuild()
  try {
    return await esbuild.build({ ...SHARED, ...options, write: false })
  } catch (error) {
    const errors = /** @type {{ errors?: import('esbuild').Message[] }} */ (error).errors
    if (!errors) throw error
    const lines = await esbuild.formatMessages(errors, { kind: 'error', color: process.stderr.isTTY })
    throw new UserError(`Cannot bundle into ${displayPath(options.outdir ?? '')}: ${errors.length} errors`, {
      output: lines.join('\n'),
    })
  }
}

/** @param {import('esbuild').OutputFile[]} files @returns {Promise<number>} how many changed */
async function write(files) {
  const written = await Promise.all(files.map((file) => writeIfChanged(file.path, marked(file))))
  return written.filter(Boolean).length
}

/** @returns {typeof import('esbuild')} */
function loadEsbuild() {
  try {
    return createRequire(import.meta.url)('esbuild')
  } catch (cause) {
    throw new UserError('Cannot load esbuild from node_modules', { hint: 'Run `npm run setup`', cause })
  }
}

/**
 * Only what differs: a program that runs meanwhile never finds half a file.
 *
 * @param {string} target @param {string | Uint8Array} contents @returns {Promise<boolean>} whether it was written
 */
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

/** Files with a digest in their names, of programs as they were before. @param {Set<string>} current those of now */
async function removeOthers(current) {
  for (const name of await readdir(PROGRAMS)) {
    const file = path.join(PROGRAMS, name)
    if (/\.cache$|\.later\./.test(name) && !current.has(file)) await rm(file, { force: true })
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
