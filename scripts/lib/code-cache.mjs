// Makes the code caches that the launchers of the programs (src/programs/common/launcher.ts) give to V8.
//
// Each file is run once as it is mostly run, because a cache holds what has been compiled by its end: the functions that
// are needed, and not those of which a start makes no use.

import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import vm from 'node:vm'
import { run } from './command.mjs'
import { nodeWith } from './node-with.mjs'
import { projectRoot } from './paths.mjs'
import { note } from './terminal.mjs'

const RECORDER = path.join(projectRoot, 'scripts/lib/record-code-cache.cjs')
/** The program `swtpm`, which starts dist/swtpm.js. */
const KEEPER = path.join(projectRoot, 'native/build/Release/swtpm')
const PATIENCE_MS = 10_000

/**
 * What is written of a file: one that gets a code cache ends with a digest, by which its launcher knows it.
 *
 * @param {{ path: string, contents: Uint8Array }} file @returns {Uint8Array}
 */
export function marked({ path: file, contents }) {
  if (!/\.(main|later\.\w+)\.js$/.test(file)) return contents
  const before = Buffer.concat([contents, Buffer.from('//')])
  const digest = createHash('sha256').update(before).digest('hex').slice(0, 16)
  return Buffer.concat([before, Buffer.from(`${digest}\n`)])
}

/** The name of a code cache: that of its source, with the digest of it. @param {string} source a file of dist/ @see marked */
export function codeCacheOf(source) {
  const [, digest] = /\/\/([0-9a-f]{16})\n$/.exec(readFileSync(source, 'latin1')) ?? []
  if (digest === undefined) throw new Error(`${source} does not end with its digest`)
  return path.basename(source).replace(/js$/, `${digest}.cache`)
}

/** @param {string} name of a code cache @returns {string} that of its source */
export const sourceOf = (name) => name.replace(/[0-9a-f]+\.cache$/, 'js')

/**
 * Makes the caches that are not there. Where that is not possible, the programs start without: somewhat later.
 *
 * @param {string} node the Node that will run the programs; no other takes them
 * @param {string[]} files the caches to be made, by name as {@link codeCacheOf} has it
 */
export async function recordCodeCaches(node, files) {
  const missing = new Map(
    files.filter((file) => !isMade(file)).map((file) => [sourceOf(path.basename(file)), file]),
  )
  if (missing.size === 0) return
  const abort = new AbortController()
  const work = mkdtempSync(path.join(tmpdir(), 'swtpm-code-cache-'))
  // swtpm's keeper takes the first Node in PATH.
  const bin = nodeWith(path.join(work, 'bin'), node, RECORDER)
  const recording = path.join(bin, 'node')
  /** @param {string} source @returns {[string, ...string[]]} */
  const commandOf = (source) => {
    const [program] = source.split('.')
    return program === 'swtpm' ? [KEEPER] : [recording, path.join(projectRoot, 'dist', `${program}.js`)]
  }
  /** Runs the program that has this file. @param {string} source @param {string[]} args */
  const record = async (source, ...args) => {
    const file = missing.get(source)
    const [command, ...first] = commandOf(source)
    const options = {
      env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
      timeout: PATIENCE_MS,
      signal: abort.signal,
    }
    if (file === undefined) return run(command, [...first, ...args], options)
    // The launcher goes through V8's cache if there is a file, whatever is in it.
    writeFileSync(file, '')
    const scratch = path.join(work, source)
    Object.assign(options.env, { CODE_CACHE_OF: source, CODE_CACHE_TO: scratch })
    try {
      await run(command, [...first, ...args], options)
      copyFileSync(scratch, file)
    } catch (error) {
      rmSync(file, { force: true })
      throw error
    }
  }
  try {
    await Promise.all([
      recordTpm(work, record),
      ...['swtpm_setup', 'swtpm_localca', 'swtpm_cert'].map((each) => record(`${each}.main.js`, '--version')),
      // What libvirt asks for.
      ...[...missing.keys()].filter(isLater).map((each) => record(each, 'socket', '--print-capabilities')),
    ])
  } catch (error) {
    abort.abort()
    const [reason] = String(/** @type {Error} */ (error).message).split('\n')
    note(`No code caches, the programs start more slowly: ${reason}`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Whether a file is one of what is loaded later (split-program.mjs). @param {string} source */
const isLater = (source) => source.includes('.later.')

/** Whether this Node takes a cache of dist/. One that was made by an earlier Node it compiles past. @param {string} name */
export function isCodeCacheTaken(name) {
  const dist = path.join(projectRoot, 'dist')
  const filename = sourceOf(name)
  // As the launcher has it.
  const source = readFileSync(path.join(dist, filename), 'latin1')
  const wrapped = `(function (exports, require, module, __filename, __dirname) { ${source}\n})`
  const cachedData = readFileSync(path.join(dist, name))
  return new vm.Script(wrapped, { filename, cachedData }).cachedDataRejected === false
}

/** An empty one is from a run that was broken off. @param {string} file */
const isMade = (file) => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0

/**
 * Has a TPM served, and used by the tools for that.
 *
 * @param {string} work
 * @param {(source: string, ...args: string[]) => Promise<unknown>} record
 */
async function recordTpm(work, record) {
  const [control, data] = [path.join(work, 'control'), path.join(work, 'data')]
  let over = false
  const tpm = record(
    ...['swtpm.main.js', 'socket', '--tpm2', '--tpmstate', `dir=${work}`, '--flags', 'startup-clear'],
    ...['--ctrl', `type=unixio,path=${control}`, '--server', `type=unixio,path=${data},disconnect`],
    ...['--pid', `file=${path.join(work, 'pid')}`],
  ).finally(() => {
    over = true
  })
  const use = async () => {
    const deadline = performance.now() + PATIENCE_MS
    while (!over && !existsSync(path.join(work, 'pid')) && performance.now() < deadline) await delay(10)
    if (over) return
    await record('swtpm_bios.main.js', '--tpm2', '--unix', data, '-n', '-cs')
    // Ends the TPM.
    await record('swtpm_ioctl.main.js', '--unix', control, '-s')
  }
  await Promise.all([tpm, use()])
}
