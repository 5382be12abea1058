#!/usr/bin/env node
// Prepares a fresh Debian machine with Node: packages, native build, JavaScript, kernels for the virtual machine.
// What is there already is left alone, so running it again costs a second.

import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildLibrary, buildPrograms, buildTypes } from './build.mjs'
import { UserError } from './lib/command.mjs'
import { runMain, say, step } from './lib/terminal.mjs'
import { debianPackages } from './setup/debian.mjs'
import { kernel } from './setup/kernels.mjs'
import { measuringPrograms, nativeLayer } from './setup/native.mjs'
import { npmPackages } from './setup/npm.mjs'
import { groupsFor } from './setup/packages.mjs'
import { runSteps } from './setup/steps.mjs'
import { unpackedPackages } from './setup/unpacked.mjs'
import { availableSeries } from './vm/kernel.mjs'

/** @typedef {{ needs: import('./setup/packages.mjs').Need[], kernels: 'none' | 'first' | 'all' }} Wanted */

/** What `npm run setup` can be told to prepare for. @type {Record<string, Wanted & { outcome: string }>} */
const PURPOSES = {
  run: {
    needs: ['run'],
    kernels: 'none',
    outcome: 'What has been built or installed runs',
  },
  build: {
    needs: [],
    kernels: 'none',
    outcome: 'Everything is built: `npm run install:system` installs it, `npm start` shows it at work',
  },
  start: {
    needs: ['demo', 'vm'],
    kernels: 'first',
    outcome: 'Everything is there: `npm start` shows it at work',
  },
  test: {
    needs: ['vm', 'test', 'bench'],
    kernels: 'all',
    outcome: 'Everything is there: `npm test` tests it, `npm run bench` measures it',
  },
}

const USAGE = `Usage: npm run setup [-- PURPOSE]

Installs what Debian has to provide and what npm has to, and builds. PURPOSE is one of
  run     what is needed to run what was built elsewhere; nothing is built
  build   what is needed to build and to install (default)
  start   and to show it at work: \`npm start\`
  test    and to test and to measure it: \`npm test\`, \`npm run bench\`
\`npm start\` and the like do their part of this themselves.

Debian packages, which are installed with apt-get as root or by sudo:
${Object.keys(PURPOSES).map(describePackages).join('\n')}`

/**
 * @param {object} wanted
 * @param {import('./setup/packages.mjs').Need[]} wanted.needs
 * @param {string[]} wanted.kernels series to have at hand for the virtual machine
 */
export async function setUp({ needs, kernels }) {
  checkNode()
  await runSteps([debianPackages(needs)])
  if (needs.includes('run')) return
  await runSteps([npmPackages(), nativeLayer()])
  if (needs.includes('bench')) await runSteps([measuringPrograms()])
  await step('Bundle the programs', buildPrograms)
  await step('Bundle the library', buildLibrary)
  if (needs.includes('quick') || needs.includes('test'))
    await step('Write the types of the library', buildTypes)
  await runSteps(kernels.map(kernel))
  if (needs.includes('test')) await runSteps([unpackedPackages('libvirt')])
}

function checkNode() {
  const [major] = process.versions.node.split('.').map(Number)
  if (major < 20)
    throw new UserError(`Node ${process.version} is too old`, { hint: 'Install Node 20 or newer' })
}

/** @param {string} purpose @param {number} index @param {string[]} purposes each needs what those before it need */
function describePackages(purpose, index, purposes) {
  const groupsOf = (/** @type {string | undefined} */ name) => groupsFor(PURPOSES[name ?? '']?.needs ?? [])
  const before = new Set(index === 0 ? [] : groupsOf(purposes[index - 1]))
  const added = groupsOf(purpose).filter((group) => !before.has(group))
  return [`  ${purpose}`, ...added.map(({ names, why }) => `    ${names.join(' ')}: ${why}`)].join('\n')
}

function parsePurpose() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { help: { type: 'boolean', default: false } },
    })
    const [purpose = 'build', ...others] = positionals
    if (!(purpose in PURPOSES)) throw new Error(`Unknown purpose "${purpose}"`)
    if (others.length > 0) throw new Error('More than one purpose')
    return { help: values.help, wanted: /** @type {Wanted & { outcome: string }} */ (PURPOSES[purpose]) }
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), { hint: USAGE })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  runMain(async () => {
    const { help, wanted } = parsePurpose()
    if (help) {
      say(USAGE)
      return
    }
    const { needs, kernels } = wanted
    const available = kernels === 'none' ? [] : await availableSeries()
    await setUp({ needs, kernels: kernels === 'all' ? available : available.slice(0, 1) })
    if (!needs.includes('run')) await step('Write the types of the library', buildTypes)
    say(wanted.outcome)
  })
}
