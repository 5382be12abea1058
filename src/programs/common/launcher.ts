/**
 * What dist/swtpm.js and its like are: they run the program beside them, dist/swtpm.main.js, with what V8 made of it when it was
 * built: compiling is the largest part of its start. So is done with what the program loads later (dist/swtpm.later.….js).
 * docs/performance.md has the figures.
 *
 * V8 takes only what the same V8 has made, and compiles as ever otherwise. Of the source it compares the length alone, and ends the process
 * where it meets another one. So a digest of the source is in its last line and in the cache's name: in the middle of an upgrade the file
 * beside us may be of another version. scripts/lib/code-cache.mjs makes both.
 * @see https://nodejs.org/docs/latest-v20.x/api/vm.html#scriptcachedata
 */
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import vm from 'node:vm'

/** Replaced at build: the program's file, as require() takes it, and for each file that has one its code cache; all are beside this one. */
declare const PROGRAM: string
declare const CODE_CACHES: Readonly<Record<string, string>>

function launch(): void {
  try {
    load(PROGRAM)
  } catch (error) {
    const { path, message } = error as NodeJS.ErrnoException
    if (path !== join(__dirname, PROGRAM)) throw error
    // The words for an errno are in the program.
    const reason = message.replace(/^\w+: (.*?), .*$/, '$1')
    process.stderr.write(
      `Cannot read "${path}": ${reason}; build it with \`npm run build\`, or install it again\n`,
    )
    process.exitCode = 1
  }
}

/** The program's require(). @throws Error of Node: there is no such file, or it cannot be read */
function load(name: string): unknown {
  const cache = CODE_CACHES[name]
  const filename = join(__dirname, name)
  // Not by require(), which looks for the file again: it may be out of sight, outside a new root directory.
  const present = require.cache[filename]
  if (present !== undefined) return present.exports
  if (cache === undefined) return require(name)
  const source = readFileSync(filename, 'latin1')
  const cachedData = readCache(cache)
  if (cachedData === undefined || !source.endsWith(`//${cache.split('.').at(-2)}\n`)) return require(name)
  // As Node wraps a module.
  const wrapped = `(function (exports, require, module, __filename, __dirname) { ${source}\n})`
  // The cache has this name in it, and is made elsewhere than it is used.
  const script = new vm.Script(wrapped, { filename: basename(name), cachedData })
  const own = { exports: {}, loaded: true }
  // One module for all that ask for it.
  require.cache[filename] = own as NodeJS.Module
  script.runInThisContext()(own.exports, load, own, filename, __dirname)
  return own.exports
}

function readCache(name: string): Buffer | undefined {
  // Traces through source maps are for modules alone.
  if (process.sourceMapsEnabled) return undefined
  try {
    return readFileSync(join(__dirname, name))
  } catch {
    return undefined
  }
}

launch()
