#!/usr/bin/env node
// Makes a Debian package of what has been built: `npm run package:deb`.

import { existsSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { succeeds, UserError } from '../lib/command.mjs'
import { displayPath, projectRoot } from '../lib/paths.mjs'
import { runMain, say, step } from '../lib/terminal.mjs'
import { makePackage } from './deb/make.mjs'

const USAGE = `Usage: npm run package:deb [-- OPTION…]

Makes the Debian package swtpm-node of what \`npm run setup\` has built, and says where it is. It takes the place of Debian's
swtpm and swtpm-tools, and installs on this release of Debian and later ones.

  --out=DIR              where to (default build/)
  --bundle-node[=PATH]   put a Node into it, the one that runs this or the one given, for releases whose nodejs is older than
                         20 (Debian 12); otherwise the package depends on nodejs (>= 20)
  --help

The maintainer's name and address are those of DEBFULLNAME and DEBEMAIL, or of git's configuration.`

runMain(async () => {
  const { help, out, bundledNode } = parseArguments()
  if (help) {
    say(USAGE)
    return
  }
  for (const [program, name] of [
    ['dpkg-shlibdeps', 'dpkg-dev'],
    ['strip', 'binutils'],
  ]) {
    if (!succeeds(program, ['--version']))
      throw new UserError(`Cannot make a Debian package: ${program} is missing`, {
        hint: `apt-get install ${name}`,
      })
  }
  const made = await step('Make the Debian package', () => makePackage({ out, bundledNode }))
  say(displayPath(made))
})

function parseArguments() {
  // An option whose value may be left out, which parseArgs() does not have.
  const args = process.argv
    .slice(2)
    .map((word) => (word === '--bundle-node' ? `--bundle-node=${realpathSync(process.execPath)}` : word))
  try {
    const { values } = parseArgs({
      args,
      options: {
        out: { type: 'string', default: path.join(projectRoot, 'build') },
        'bundle-node': { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
    const bundledNode = values['bundle-node']
    if (bundledNode !== undefined && !existsSync(bundledNode))
      throw new Error(`--bundle-node: there is no "${bundledNode}"`)
    return { help: values.help, out: path.resolve(values.out), bundledNode }
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), { hint: USAGE })
  }
}
