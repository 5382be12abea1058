#!/usr/bin/env node
// `npm test`: sets up what is missing, then checks and tests everything, on this machine and in the virtual machine.

import os from 'node:os'
import { parseArgs } from 'node:util'
import { buildTests } from './build.mjs'
import { DISTROS, OTHER_SUITES, SUITES } from './distros/distros.mjs'
import { QUICK_TESTS } from './distros/steps.mjs'
import { UserError } from './lib/command.mjs'
import { cacheHome } from './lib/paths.mjs'
import { runMain, say, step } from './lib/terminal.mjs'
import { setUp } from './setup.mjs'
import { runChecks } from './test/checks.mjs'
import { runOnDistro } from './test/distros-suite.mjs'
import { environmentOf, FORMS, formsOf, formsOfMachine } from './test/forms.mjs'
import { installForTests } from './test/installed.mjs'
import { Report } from './test/report.mjs'
import { runFile } from './test/run-file.mjs'
import { runJobs } from './test/run-jobs.mjs'
import { matcherOf } from './test/selection.mjs'
import {
  DISTROS_SUITE,
  filesOf,
  HOST_SUITES,
  isSlowClock,
  isSystem,
  needsOf,
  SMOKE_TEST,
  VM_SUITE,
} from './test/suites.mjs'
import { runVmSuite } from './test/vm-suite.mjs'
import { availableSeries, ensureKernel, KERNEL_SERIES } from './vm/kernel.mjs'

const CHECKS = 'checks'
/** What has test files. */
const FILE_PARTS = [...HOST_SUITES, VM_SUITE]
/** What runs when nothing is asked for. */
const DEFAULT_PARTS = [CHECKS, ...FILE_PARTS, ...OTHER_SUITES]
const PARTS = [CHECKS, ...FILE_PARTS, DISTROS_SUITE, ...SUITES]
/** What `--quick` runs: what a change is most likely to break, and the kernel once. */
const QUICK_PARTS = [CHECKS, 'unit', 'protocol']
const USAGE = `Usage: npm test [-- OPTION… PART… PATH…]

Without arguments: everything, distros but for that of this machine. PART is one of
${PARTS.join(', ')}.
PATH is a test file or a folder of them, such as test/unit/tpm or test/protocol/cancel.test.ts; a piece of a path selects all
files that have it.

  --quick          checks, unit, protocol, and one short test on one kernel, all awake: some two minutes. It leaves out the
                   other programs (interop), crashes and full disks (hard), the fuzzers, the counts of system calls
                   (bench), other distributions (distros) and all but that one test on a kernel
  --awake          every file that has this form with supervisors that never rest
  --asleep         every file that has this form with supervisors that rest at every chance. With both: every file in
                   both, on each kernel, too. Without: each in one form but for protocol, which is run in both
  --grep PATTERN   only tests whose name matches
  --kernel SERIES  VM tests on ${KERNEL_SERIES.join(' or ')} only
  --verbose        a line for each test

test/README.md says what each part needs and costs.`

/** How many test files, or virtual machines, run at a time: one more than processors, because most of them wait now and then. */
const SLOTS = os.availableParallelism() + 1

/** An emulated processor is some ten times slower. */
const SILENCE_MS = { host: 120_000, guest: 300_000 }

runMain(async () => {
  const { parts, paths, quick, forms, kernel: asked, grep, verbose, help } = parseArguments()
  if (help) {
    say(USAGE)
    return 0
  }
  const matches = matcherOf(paths)
  const vmFiles = quick ? [SMOKE_TEST] : parts.includes(VM_SUITE) ? filesOf(VM_SUITE, matches) : []
  const available = vmFiles.length === 0 ? [] : asked ? [asked] : await availableSeries()
  const kernels = quick ? available.slice(0, 1) : available
  const runs = FORMS.flatMap((form) =>
    HOST_SUITES.filter((name) => parts.includes(name))
      .flatMap((name) => filesOf(name, matches))
      .filter((file) => formsOf(file, forms).includes(form))
      .map((file) => ({ file, form })),
  )
  const distros = DISTROS.filter(({ suite }) => parts.includes(DISTROS_SUITE) || parts.includes(suite))
  const wanted = [
    ...HOST_SUITES.filter((name) => runs.some(({ file }) => file.startsWith(`${name}/`))),
    ...(vmFiles.length > 0 ? [VM_SUITE] : []),
    ...(distros.length > 0 ? [DISTROS_SUITE] : []),
  ]
  await setUp({
    needs: quick ? ['quick', 'vm'] : needsOf(wanted),
    kernels,
  })
  await step('Bundle the tests', buildTests)
  if (vmFiles.some(isSlowClock)) await step('Install the programs into build/installed', installForTests)

  const report = new Report({ verbose })
  if (parts.includes(CHECKS)) await runChecks((record) => report.take(record))

  /** @type {import('./test/run-jobs.mjs').Job[]} */
  const jobs = []
  // The longest first, so that no machine still runs when everything else is done.
  for (const series of kernels) {
    const kernel = await ensureKernel(series)
    const options = { concurrency: 1, silenceMs: SILENCE_MS.guest, ...grep }
    const first = series === kernels[0]
    for (const form of formsOfMachine(series === KERNEL_SERIES[0], forms)) {
      const add = (
        /** @type {string[]} */ files,
        /** @type {Partial<import('./vm/machine.mjs').Job>} */ { env, ...machine } = {},
      ) => {
        if (files.length === 0) return
        const guest = { ...machine, env: { ...env, ...environmentOf(form) } }
        const run = (/** @type {Parameters<typeof runVmSuite>[3]} */ emit) =>
          runVmSuite(kernel, files, { ...options, guest }, emit)
        jobs.push({ where: `on Linux ${series}, ${form}`, run })
      }
      add(vmFiles.filter((file) => !isSlowClock(file) && (first || !isSystem(file))))
      if (first) add(vmFiles.filter(isSlowClock), { clock: 'slow', env: { XDG_CACHE_HOME: cacheHome } })
    }
  }
  for (const distro of distros) {
    jobs.push({ where: `on Debian ${distro.suite}`, run: (emit) => runOnDistro(distro, QUICK_TESTS, emit) })
  }
  for (const { file, form } of runs) {
    const silenceMs = file.startsWith('ktest/') ? SILENCE_MS.guest : SILENCE_MS.host
    const options = { silenceMs, env: environmentOf(form), ...grep }
    const run = (/** @type {Parameters<typeof runFile>[2]} */ emit) => runFile(file, options, emit)
    jobs.push(form === 'awake' ? { run } : { where: form, run })
  }
  await runJobs(jobs, SLOTS, (record, where) => report.take(record, where))
  if (report.entries.length === 0) throw new UserError('No test matches', { hint: USAGE })
  return report.close() ? 0 : 1
})

function parseArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        awake: { type: 'boolean', default: false },
        asleep: { type: 'boolean', default: false },
        grep: { type: 'string' },
        kernel: { type: 'string' },
        verbose: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    const { kernel, quick, grep, verbose, help } = values
    if (kernel && !KERNEL_SERIES.includes(kernel)) throw new Error(`Unknown kernel "${kernel}"`)
    if (quick && positionals.length > 0) throw new Error('--quick says itself what is run')
    const named = positionals.filter((word) => PARTS.includes(word))
    const paths = positionals.filter((word) => !PARTS.includes(word))
    const all = paths.length > 0 || grep ? FILE_PARTS : DEFAULT_PARTS
    return {
      parts: quick ? [...QUICK_PARTS, VM_SUITE] : named.length > 0 ? named : all,
      paths,
      quick,
      forms: FORMS.filter((form) => (quick ? form === 'awake' : values[form])),
      kernel,
      grep: grep ? { grep } : {},
      verbose,
      help,
    }
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), { hint: USAGE })
  }
}
