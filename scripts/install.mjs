#!/usr/bin/env node
// Puts the programs and what belongs to them where the system looks for them, or takes them away again.

import { realpathSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { install } from './install/install.mjs'
import { uninstall } from './install/uninstall.mjs'
import { UserError } from './lib/command.mjs'
import { runMain, say } from './lib/terminal.mjs'

const USAGE = `Usage: npm run install:system [-- OPTION…]
       npm run uninstall:system [-- --prefix=DIR] [--destdir=DIR]

Installs the programs, manual pages, shell completions, configuration files that are missing in /etc, systemd units,
udev rules and so on. Everything is installed or nothing, and what was installed is on a list (PREFIX/lib/swtpm/
manifest.json), which is what uninstalling takes away.

  --prefix=DIR         where to (default /usr/local)
  --destdir=DIR        put it into the system that has its root directory here: for packages and images
  --node=PATH          the Node that runs the programs (default ${process.execPath})
  --without-services   no systemd units, udev rules, sysusers.d, tmpfiles.d, modules-load.d, AppArmor profile`

runMain(async () => {
  const { values } = parse()
  if (values.help) {
    say(USAGE)
    return 0
  }
  const prefix = absolute('prefix', values.prefix)
  const destdir = values.destdir === '' ? '' : path.resolve(values.destdir)
  if (values.uninstall) await uninstall({ prefix, destdir })
  else {
    const node = values.node ?? realpathSync(process.execPath)
    await install({ prefix, destdir, node, services: !values['without-services'] })
  }
  return 0
})

function parse() {
  try {
    return parseArgs({
      options: {
        uninstall: { type: 'boolean', default: false },
        prefix: { type: 'string', default: '/usr/local' },
        destdir: { type: 'string', default: '' },
        node: { type: 'string' },
        'without-services': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), { hint: USAGE })
  }
}

/** @param {string} option @param {string} directory @returns {string} */
function absolute(option, directory) {
  if (path.isAbsolute(directory)) return path.normalize(directory).replace(/(?<=.)\/$/, '')
  throw new UserError(`--${option}=${directory} is no absolute path`, {
    hint: `Try --${option}=${path.resolve(directory)}`,
  })
}
