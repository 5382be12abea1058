#!/usr/bin/env node
// Runs a command inside a virtual machine on one of Debian's stock kernels: for developers.

import { parseArgs } from 'node:util'
import { UserError } from '../lib/command.mjs'
import { INTERACTIVE_SHELL } from '../lib/interactive-shell.mjs'
import { note, runMain } from '../lib/terminal.mjs'
import { ensureKernel, KERNEL_SERIES } from './kernel.mjs'
import { runInGuest } from './machine.mjs'

const USAGE = `Usage: npm run vm -- [OPTION…] [--] COMMAND…
       npm run vm -- --shell

Runs COMMAND as root in a throw-away machine that has /dev/cuse and /dev/vtpmx. It sees this machine's files at their
own paths and may write anywhere: the writes stay in the guest's memory.

  --kernel SERIES    ${KERNEL_SERIES.join(' or ')} (default ${KERNEL_SERIES[0]})
  --share DIRECTORY  let the guest write to this directory for real; may be given more than once
  --env NAME=VALUE   set a variable for the command; may be given more than once
  --cpus N           default 2
  --icount           one emulated CPU whose clock counts its instructions: times repeat within 1 %
  --slow-clock       one emulated CPU whose clock is as slow as the CPU: the time limits of programs hold
  --timeout SECONDS  give up when the command runs longer (default: none)
  --shell            connect a shell to this terminal; Ctrl-] x ends the machine if the shell cannot`

runMain(async () => {
  const { values, positionals } = parseArguments()
  if (values.help) {
    console.log(USAGE)
    return 0
  }
  if (!values.shell && positionals.length === 0) throw new UserError('No command given', { hint: USAGE })
  const kernel = await ensureKernel(values.kernel, note)
  return runInGuest({
    kernel,
    command: positionals.length > 0 ? positionals : INTERACTIVE_SHELL,
    interactive: values.shell,
    shares: values.share,
    env: Object.fromEntries(values.env.map(nameAndValue)),
    cpus: Number(values.cpus),
    ...(values.icount ? { clock: 'instructions' } : values['slow-clock'] ? { clock: 'slow' } : {}),
    ...(values.timeout ? { timeoutMs: Number(values.timeout) * 1000 } : {}),
    onUp: (bootMs) => note(`Linux ${kernel.release} is up after ${(bootMs / 1000).toFixed(1)} s`),
  })
})

function parseArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        kernel: { type: 'string', default: KERNEL_SERIES[0] },
        share: { type: 'string', multiple: true, default: [] },
        env: { type: 'string', multiple: true, default: [] },
        cpus: { type: 'string', default: '2' },
        icount: { type: 'boolean', default: false },
        'slow-clock': { type: 'boolean', default: false },
        timeout: { type: 'string' },
        shell: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), { hint: USAGE })
  }
}

/** @param {string} assignment @returns {[string, string]} */
function nameAndValue(assignment) {
  const equals = assignment.indexOf('=')
  if (equals < 1) throw new UserError(`Not NAME=VALUE: "${assignment}"`, { hint: USAGE })
  return [assignment.slice(0, equals), assignment.slice(equals + 1)]
}
