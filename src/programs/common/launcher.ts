/**
 * What dist/swtpm.js and its like are: they run the program beside them, dist/swtpm.main.js, with what V8 made of it when it was
 * built: compiling is the largest part of its start. docs/performance.md has the figures.
 *
 * V8 takes only what the same V8 has made, and compiles as ever otherwise. It does not compare the source, so the file's name
 * has the digest of that. scripts/lib/code-cache.mjs makes it.
 * @see https://nodejs.org/docs/latest-v20.x/api/vm.html#scriptcachedata
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import vm from 'node:vm'

/** Replaced at build: the program's file, and its code cache, both beside this one. */
declare const PROGRAM: string
declare const CODE_CACHE: string

function launch(): void {
  const cachedData = readCache()
  const filename = join(__dirname, PROGRAM)
  if (cachedData === undefined) {
    require(filename)
    return
  }
  const source = readFileSync(filename, 'latin1')
  // As Node wraps a module.
  const wrapped = `(function (exports, require, module, __filename, __dirname) { ${source}\n})`
  // The cache has this name in it, and is made elsewhere than it is used.
  const script = new vm.Script(wrapped, { filename: PROGRAM, cachedData })
  script.runInThisContext()(exports, require, module, filename, __dirname)
}

function readCache(): Buffer | undefined {
  // Traces through source maps are for modules alone.
  if (process.sourceMapsEnabled) return undefined
  try {
    return readFileSync(join(__dirname, CODE_CACHE))
  } catch {
    return undefined
  }
}

launch()
