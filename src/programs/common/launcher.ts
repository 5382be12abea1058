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
  const filename = join(__dirname, PROGRAM)
  const source = readProgram(filename)
  if (source === undefined) return
  const cachedData = readCache()
  if (cachedData === undefined) {
    require(filename)
    return
  }
  // As Node wraps a module.
  const wrapped = `(function (exports, require, module, __filename, __dirname) { ${source}\n})`
  // The cache has this name in it, and is made elsewhere than it is used.
  const script = new vm.Script(wrapped, { filename: PROGRAM, cachedData })
  script.runInThisContext()(exports, require, module, filename, __dirname)
}

/** @returns undefined, with everything said, when there is no such file or it cannot be read */
function readProgram(filename: string): string | undefined {
  try {
    return readFileSync(filename, 'latin1')
  } catch (error) {
    // The words for an errno are in the program.
    const reason = (error as Error).message.replace(/^\w+: (.*?), .*$/, '$1')
    process.stderr.write(
      `Cannot read "${filename}": ${reason}; build it with \`npm run build\`, or install it again\n`,
    )
    process.exitCode = 1
    return undefined
  }
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
