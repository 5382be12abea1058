#!/usr/bin/env node
// Prepares a fresh Debian machine with Node: packages, native build, JavaScript, kernels for the virtual machine.
// What is there already is left alone, so running it again costs a second.

import { fileURLToPath } from 'node:url'
import { buildPrograms } from './build.mjs'
import { UserError } from './lib/command.mjs'
import { runMain, say, step } from './lib/terminal.mjs'
import { debianPackages } from './setup/debian.mjs'
import { kernel } from './setup/kernels.mjs'
import { nativeLayer } from './setup/native.mjs'
import { npmPackages } from './setup/npm.mjs'
import { runSteps } from './setup/steps.mjs'
import { KERNEL_SERIES } from './vm/kernel.mjs'

/**
 * @param {object} wanted
 * @param {import('./setup/packages.mjs').Need[]} wanted.needs
 * @param {string[]} wanted.kernels series to have at hand for the virtual machine
 */
export async function setUp({ needs, kernels }) {
  checkNode()
  await runSteps([debianPackages(needs), npmPackages(), nativeLayer()])
  await step('Bundle the programs', buildPrograms)
  await runSteps(kernels.map(kernel))
}

function checkNode() {
  const [major] = process.versions.node.split('.').map(Number)
  if (major < 20)
    throw new UserError(`Node ${process.version} is too old`, { hint: 'Install Node 20 or newer' })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  runMain(async () => {
    await setUp({ needs: ['vm', 'test'], kernels: KERNEL_SERIES })
    say('Everything is there: `npm start` shows it at work, `npm test` tests it.')
  })
}
