#!/usr/bin/env node
// The install script of the npm package: compiles the native part, and says what is missing for that.
//
// It runs in the packed file, which has the bundled programs and no development packages. In a clone of the repository it does
// nothing: there `npm run setup` and `npm run build` compile.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { codeCacheOf, recordCodeCaches } from '../lib/code-cache.mjs'
import { capture, run, succeeds, UserError } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'
import { lastLines, runMain } from '../lib/terminal.mjs'
import { ownHeaders } from '../setup/node-headers.mjs'
import { installLine, missingRequirements } from './requirements.mjs'

const NATIVE = path.join(projectRoot, 'native')
const COMPILED = path.join(NATIVE, 'build/Release')
const RESULTS = ['swtpm', 'tpm-engine', 'swtpm_native.node']
/** What other programs of the package look for in bin/; npm packs no links. */
const LINKS = ['swtpm', 'swtpm_cuse']
const AGAIN = `node ${path.join(projectRoot, 'scripts/package/npm-install.mjs')}`
const OUTPUT_LINES = 15

runMain(async () => {
  if (existsSync(path.join(projectRoot, 'src'))) return
  const gyp = nodeGyp()
  check(gyp)
  await compile(gyp)
  linkPrograms()
  await recordCaches()
})

/** @param {[string, ...string[]]} gyp */
function check([program, ...args]) {
  if (Number(process.versions.node.split('.')[0]) < 20)
    throw new UserError(`swtpm needs Node 20 or newer, and this is ${process.version}`)
  const version = /v(\d+)/.exec(capture(program, [...args, '--version']))?.[1]
  const missing = missingRequirements(Number(version))
  if (missing.length === 0) return
  const names = missing.map(({ what }) => what).join(', ')
  throw new UserError(`Cannot compile the native part of swtpm: missing are ${names}`, {
    hint: `${installLine(missing)}   and then install swtpm again, or run ${AGAIN}`,
  })
}

/** @param {[string, ...string[]]} gyp */
async function compile([program, ...args]) {
  try {
    // As an option: the node-gyp of older npms has other variables.
    const nodedir = process.env.npm_config_nodedir || ownHeaders()
    const options = ['-C', NATIVE, '--jobs', 'max', ...(nodedir ? ['--nodedir', nodedir] : [])]
    await run(program, [...args, 'rebuild', ...options], { cwd: projectRoot })
  } catch (error) {
    const { output = '', message } = /** @type {UserError} */ (error)
    throw new UserError(`Cannot compile the native part of swtpm: ${message}`, {
      output: lastLines(output, OUTPUT_LINES),
      hint: `If it could not download the headers of Node, name a folder that has them: npm_config_nodedir=DIR ${AGAIN}`,
    })
  }
  // What compiling leaves behind is ten times what is used.
  for (const name of readdirSync(COMPILED))
    if (!RESULTS.includes(name)) rmSync(path.join(COMPILED, name), { recursive: true })
}

/** @returns {[string, ...string[]]} npm and others bring node-gyp along, and say to scripts where it is */
function nodeGyp() {
  const told = process.env.npm_config_node_gyp
  if (told && existsSync(told)) return [process.execPath, told]
  if (succeeds('node-gyp', ['--version'])) return ['node-gyp']
  const ofNpm = (process.env.PATH ?? '')
    .split(path.delimiter)
    .map((folder) => path.join(folder, 'npm'))
    .filter((file) => existsSync(file))
    .map((file) => path.resolve(realpathSync(file), '../../node_modules/node-gyp/bin/node-gyp.js'))
    .find((file) => existsSync(file))
  if (ofNpm) return [process.execPath, ofNpm]
  throw new UserError('Cannot compile the native part of swtpm: there is no node-gyp', {
    hint: `npm install -g node-gyp   and then ${AGAIN}`,
  })
}

function linkPrograms() {
  for (const name of LINKS) {
    const link = path.join(projectRoot, 'bin', name)
    rmSync(link, { force: true })
    symlinkSync('../native/build/Release/swtpm', link)
  }
}

/** For the Node that is here: others start the programs somewhat later. */
async function recordCaches() {
  const dist = path.join(projectRoot, 'dist')
  const sources = readdirSync(dist).filter((name) => /\.main\.js$|\.later\..*\.js$/.test(name))
  await recordCodeCaches(
    process.execPath,
    sources.map((name) => path.join(dist, codeCacheOf(path.join(dist, name)))),
  )
  // Every program starts, with or without a cache.
  const { status, stderr } = spawnSync(
    path.join(COMPILED, 'swtpm'),
    ['socket', '--tpm2', '--print-capabilities'],
    {
      encoding: 'utf8',
    },
  )
  if (status !== 0)
    throw new UserError('swtpm has been compiled and does not start', { output: stderr ?? undefined })
}
