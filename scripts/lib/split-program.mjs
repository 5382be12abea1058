// Splits a program in two: the file that every start reads, and what is loaded later, if at all.
//
// The first file has what the program's main module imports statically; what it loads by import() or require() is in the second. Each
// module is in one of them, so what there is one of (the log, the native addon) stays one: the second file takes what is in the
// first from there. The name of the second has a digest of it, so that a program that runs while it is upgraded finds its own or none.

import path from 'node:path'
import { projectRoot } from './paths.mjs'

/**
 * @typedef {import('esbuild').Plugin} Plugin
 * @typedef {(options: import('esbuild').BuildOptions) => Promise<import('esbuild').BuildResult & { outputFiles: import('esbuild').OutputFile[] }>} Build
 * `esbuild.build()`, with the options that all bundles share, and without writing
 */

/** How {@link Plugin}s tell their own questions. */
const ASKED_BY_US = Symbol('asked by us')
/** Modules that are written here. */
const WRITTEN = 'written'
const IN_MAIN = 'in-main'

/**
 * @param {Build} build
 * @param {{ name: string, main: string, outdir: string }} program `main`: its main module
 * @returns {Promise<import('esbuild').OutputFile[]>}
 */
export async function splitProgram(build, { name, main, outdir }) {
  /** @type {Set<string>} */
  const later = new Set()
  const analysis = await build({
    entryPoints: [main],
    outdir,
    metafile: true,
    plugins: [loadLater('./later.js', later)],
  })
  const inMain = new Set(Object.keys(analysis.metafile?.inputs ?? {}).map(absolute))
  /** @type {Set<string>} */
  const taken = new Set()
  const second = await build({
    entryPoints: [{ in: WRITTEN, out: `${name}.later` }],
    // Esbuild's digest is one of the contents.
    entryNames: '[name].[hash]',
    outdir,
    plugins: [
      written(laterSource(await exportsOf(build, later))),
      takeFromMain(`./${name}.main.js`, inMain, taken),
    ],
  })
  const file = second.outputFiles
    .map((output) => path.basename(output.path))
    .find((each) => each.endsWith('.js'))
  const first = await build({
    entryPoints: [{ in: WRITTEN, out: `${name}.main` }],
    outdir,
    plugins: [written(mainSource(main, await exportsOf(build, taken))), loadLater(`./${file}`, later)],
  })
  return [...first.outputFiles, ...second.outputFiles]
}

/** @param {string} relative as esbuild's metafiles have it */
const absolute = (relative) => path.resolve(projectRoot, relative)

/** Has our modules loaded from `file` where they are not imported statically. @param {string} file @param {Set<string>} later gets which they are @returns {Plugin} */
function loadLater(file, later) {
  return {
    name: 'load later',
    setup(build) {
      build.onResolve({ filter: /.*/ }, async ({ path: name, kind, importer, resolveDir, pluginData }) => {
        if (pluginData === ASKED_BY_US || importer.includes('/node_modules/')) return undefined
        if (kind !== 'dynamic-import' && kind !== 'require-call') return undefined
        const found = await build.resolve(name, { kind, importer, resolveDir, pluginData: ASKED_BY_US })
        if (found.external || found.errors.length > 0) return found
        later.add(found.path)
        return { path: file, external: true }
      })
    },
  }
}

/** @param {string} file the program's first file @param {Set<string>} inMain what it has @param {Set<string>} taken gets what is taken of that @returns {Plugin} */
function takeFromMain(file, inMain, taken) {
  return {
    name: 'take from main',
    setup(build) {
      build.onResolve({ filter: /.*/ }, async ({ path: name, kind, importer, resolveDir, pluginData }) => {
        if (name === file) return { path: file, external: true }
        if (pluginData === ASKED_BY_US || !name.startsWith('.')) return undefined
        const found = await build.resolve(name, { kind, importer, resolveDir, pluginData: ASKED_BY_US })
        return inMain.has(found.path) ? { path: relative(found.path), namespace: IN_MAIN } : found
      })
      build.onLoad({ filter: /.*/, namespace: IN_MAIN }, ({ path: source }) => {
        taken.add(absolute(source))
        return { contents: `module.exports = require('${file}').moduleOf('${source}')` }
      })
    },
  }
}

/** Has `source` bundled. @param {string} source @returns {Plugin} */
function written(source) {
  return {
    name: 'written',
    setup(build) {
      build.onResolve({ filter: new RegExp(`^${WRITTEN}$`) }, () => ({ path: WRITTEN, namespace: WRITTEN }))
      build.onLoad({ filter: /.*/, namespace: WRITTEN }, () => ({
        contents: source,
        resolveDir: projectRoot,
      }))
    },
  }
}

/** What each of these modules exports. @param {Build} build @param {Set<string>} modules @returns {Promise<Map<string, string[]>>} */
async function exportsOf(build, modules) {
  const { metafile } = await build({
    entryPoints: [...modules],
    bundle: false,
    external: [],
    alias: {},
    format: 'esm',
    metafile: true,
    outdir: projectRoot,
  })
  const outputs = Object.values(metafile?.outputs ?? {})
  return new Map(
    outputs.flatMap(({ entryPoint, exports }) => (entryPoint ? [[absolute(entryPoint), exports]] : [])),
  )
}

/**
 * The second file: an object of all that is exported, by its name. A module is evaluated when it is first asked for something.
 *
 * @param {Map<string, string[]>} modules
 */
function laterSource(modules) {
  /** @type {Map<string, string>} */
  const owners = new Map()
  for (const [source, names] of modules) {
    for (const name of names) {
      const other = owners.get(name)
      if (other !== undefined)
        throw new Error(
          `${relative(source)} and ${relative(other)} are loaded by import(): only one can export ${name}`,
        )
      owners.set(name, source)
    }
  }
  const getters = [...owners].map(
    ([name, source]) => `get ${name}() { return require('./${relative(source)}').${name} },`,
  )
  return ['module.exports = {', ...getters, '}'].join('\n')
}

/**
 * The first file: the main module, and a function by which the second gets at what is in it. V8 compiles that when it is called.
 *
 * @param {string} main
 * @param {Map<string, string[]>} modules what the second needs
 */
function mainSource(main, modules) {
  const imports = [`import './${relative(main)}'`]
  const cases = [...modules].map(([source, names], index) => {
    const local = (/** @type {string} */ name) => `${name}_${index}`
    imports.push(
      `import { ${names.map((name) => `${name} as ${local(name)}`).join(', ')} } from './${relative(source)}'`,
    )
    const getters = names.map((name) => `get ${name}() { return ${local(name)} }`)
    return `case '${relative(source)}': return { __esModule: true, ${getters.join(', ')} }`
  })
  return [...imports, 'export function moduleOf(name) {', 'switch (name) {', ...cases, '}', '}'].join('\n')
}

/** @param {string} file */
const relative = (file) => path.relative(projectRoot, file)
