#!/usr/bin/env node
// `npm start`: sets up what is missing, then shows the TPMs at work, on this kernel or on one of our own.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { UserError } from './lib/command.mjs'
import { whyNotHere } from './lib/host-devices.mjs'
import { projectRoot } from './lib/paths.mjs'
import { note, runMain, say } from './lib/terminal.mjs'
import { setUp } from './setup.mjs'
import { availableSeries, ensureKernel, KERNEL_SERIES } from './vm/kernel.mjs'
import { runInGuest } from './vm/machine.mjs'

const USAGE = `Usage: npm start [-- OPTION…]

  --shell          afterwards, leave me in a shell with the devices
  --kernel SERIES  use a virtual machine with Debian's kernel ${KERNEL_SERIES.join(' or ')}, even if this kernel would do`

runMain(async () => {
  const { shell, kernel: asked, help } = parseArguments()
  if (help) {
    say(USAGE)
    return 0
  }
  const reason = asked ? 'you asked for it' : whyNotHere()
  const series = reason ? (asked ?? (await availableSeries())[0]) : undefined
  await setUp(series ? { needs: ['demo', 'vm'], kernels: [series] } : { needs: ['demo'], kernels: [] })

  const demo = [process.execPath, path.join(projectRoot, 'scripts/demo.mjs'), ...(shell ? ['--shell'] : [])]
  if (!series) {
    say("\nThe devices are made on this machine's own kernel.")
    return runHere(demo)
  }
  const kernel = await ensureKernel(series)
  say(`\nThe devices are made in a virtual machine on Debian's kernel ${kernel.release}: ${reason}.`)
  return runInGuest({
    kernel,
    command: demo,
    cwd: projectRoot,
    interactive: shell,
    env: process.stdout.isTTY ? { FORCE_COLOR: '1' } : {},
    onUp: (bootMs) => note(`it is up after ${(bootMs / 1000).toFixed(1)} s`),
  })
})

/** @param {string[]} command @returns {Promise<number>} */
async function runHere([program, ...args]) {
  const [status] = await once(spawn(program, args, { stdio: 'inherit', cwd: projectRoot }), 'exit')
  return status ?? 1
}

function parseArguments() {
  try {
    const { values } = parseArgs({
      options: {
        shell: { type: 'boolean', default: false },
        kernel: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.shell && !process.stdin.isTTY) throw new UserError('--shell needs a terminal')
    return values
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), { hint: USAGE })
  }
}
