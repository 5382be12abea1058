#!/usr/bin/env node
// Builds and tests the project on another distribution, or runs a command there: for developers.

import { parseArgs } from 'node:util'
import { DISTROS, SUITES } from './distros/distros.mjs'
import { describeRoot, ensureRoot, isRootAtHand } from './distros/root.mjs'
import { QUICK_TESTS, stepsWith } from './distros/steps.mjs'
import { Visit } from './distros/visit.mjs'
import { UserError } from './lib/command.mjs'
import { done, note, runMain, say, step } from './lib/terminal.mjs'

const USAGE = `Usage: npm run distro -- SUITE [OPTION…] [-- COMMAND…]

Makes a minimal root of a Debian suite, ${SUITES.join(', ')}, with a new clone of the project as it is now. In it runs
npm ci, npm run setup, npm run build and the quick tests, or COMMAND alone, such as bash. Takes root. Nothing that is
written there is kept.

  --fresh  make the root again, from today's packages; otherwise the one in ~/.cache/swtpm-distros is used
  --help`

runMain(async () => {
  const { distro, command, fresh, help } = parseArguments()
  if (help || !distro) {
    say(USAGE)
    return 0
  }
  const title = `root of Debian ${distro.suite}`
  if (!fresh && isRootAtHand(distro)) done(title)
  else
    await step(`Make the ${title} (it is not installed)`, (onProgress) =>
      ensureRoot(distro, { fresh, onProgress }),
    )
  const root = await ensureRoot(distro)
  note(describeRoot(root))
  const visit = await Visit.begin(root)
  try {
    if (command.length > 0) return await runAlone(visit, command)
    for (const { title: what, line, online } of stepsWith(distro.suite, QUICK_TESTS, { buildAgain: true })) {
      await step(what, async () => {
        const { status } = await visit.run(line, { online, onLine: (printed) => console.log(printed) })
        if (status !== 0) throw new UserError(`Command "${line}" ended with ${status} on ${distro.suite}`)
      })
    }
    return 0
  } finally {
    await visit.end()
  }
})

/** @param {Visit} visit @param {string[]} words @returns {Promise<number>} */
async function runAlone(visit, words) {
  const line = words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ')
  const { status } = await visit.run(line, { online: true, interactive: true })
  return typeof status === 'number' ? status : 1
}

function parseArguments() {
  const args = process.argv.slice(2)
  const end = args.indexOf('--')
  const own = end < 0 ? args : args.slice(0, end)
  try {
    const { values, positionals } = parseArgs({
      args: own,
      allowPositionals: true,
      options: {
        fresh: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    const distro = DISTROS.find(({ suite }) => suite === positionals[0])
    if (!values.help && !distro) throw new Error(`Not a suite: "${positionals[0] ?? ''}"`)
    if (positionals.length > 1) throw new Error('A command follows --')
    return { ...values, distro, command: end < 0 ? [] : args.slice(end + 1) }
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), { hint: USAGE })
  }
}
