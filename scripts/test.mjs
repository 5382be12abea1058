#!/usr/bin/env node
// `npm test`: sets up what is missing, then checks and tests everything, on this machine and in the virtual machine.

import { parseArgs } from 'node:util'
import { buildTests } from './build.mjs'
import { UserError } from './lib/command.mjs'
import { runMain, say, step } from './lib/terminal.mjs'
import { setUp } from './setup.mjs'
import { runChecks } from './test/checks.mjs'
import { Report } from './test/report.mjs'
import { runFiles } from './test/run-files.mjs'
import { filesOf, HOST_SUITES, isSystem, VM_SUITE } from './test/suites.mjs'
import { runVmSuite } from './test/vm-suite.mjs'
import { ensureKernel, KERNEL_SERIES } from './vm/kernel.mjs'

const CHECKS = 'checks'
const PARTS = [CHECKS, ...HOST_SUITES, VM_SUITE]
const USAGE = `Usage: npm test [-- OPTION… PART… FILE…]

Without arguments: everything. PART is one of ${PARTS.join(', ')}; FILE is a part of a test file's path.

  --grep PATTERN   only tests whose name matches
  --kernel SERIES  VM tests on ${KERNEL_SERIES.join(' or ')} only
  --verbose        a line for each test`

/** An emulated processor is some ten times slower. */
const SILENCE_MS = { host: 120_000, guest: 300_000 }

runMain(async () => {
  const { parts, filters, kernels, grep, verbose, help } = parseArguments()
  if (help) {
    say(USAGE)
    return 0
  }
  const withVm = parts.includes(VM_SUITE)
  await setUp({ needs: ['vm', 'test'], kernels: withVm ? kernels : [] })
  await step('Bundle the tests', buildTests)

  const report = new Report({ verbose })
  const take = report.take.bind(report)
  if (parts.includes(CHECKS)) {
    report.begin(CHECKS)
    await runChecks(take)
  }
  for (const suite of HOST_SUITES.filter((name) => parts.includes(name))) {
    const files = filesOf(suite, filters)
    if (files.length === 0) continue
    report.begin(suite)
    await runFiles(files, { concurrency: 2, silenceMs: SILENCE_MS.host, ...grep }, take)
  }
  const vmFiles = withVm ? filesOf(VM_SUITE, filters) : []
  for (const series of vmFiles.length > 0 ? kernels : []) {
    const files = series === kernels[0] ? vmFiles : vmFiles.filter((file) => !isSystem(file))
    if (files.length === 0) continue
    const kernel = await ensureKernel(series)
    report.begin(`${VM_SUITE} (kernel ${kernel.release})`)
    await runVmSuite(kernel, files, { concurrency: 1, silenceMs: SILENCE_MS.guest, ...grep }, take)
  }
  if (report.entries.length === 0) throw new UserError('No test matches', { hint: USAGE })
  return report.close() ? 0 : 1
})

function parseArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        grep: { type: 'string' },
        kernel: { type: 'string' },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    const { kernel, grep, verbose, help } = values
    if (kernel && !KERNEL_SERIES.includes(kernel)) throw new Error(`Unknown kernel "${kernel}"`)
    const named = positionals.filter((word) => PARTS.includes(word))
    const filters = positionals.filter((word) => !PARTS.includes(word))
    // A file or a test name is no check, so asking for one leaves the checks out.
    const all = filters.length > 0 || grep ? PARTS.filter((part) => part !== CHECKS) : PARTS
    return {
      parts: named.length > 0 ? named : all,
      filters,
      kernels: kernel ? [kernel] : KERNEL_SERIES,
      grep: grep ? { grep } : {},
      verbose,
      help,
    }
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), { hint: USAGE })
  }
}
