#!/usr/bin/env node
// `npm run test:hard`: the tests that try to break it, in their long form, and the table of what came out.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { buildTests } from './build.mjs'
import { UserError } from './lib/command.mjs'
import { projectRoot } from './lib/paths.mjs'
import { bold, runMain, say, step } from './lib/terminal.mjs'
import { setUp } from './setup.mjs'
import { readFigures } from './test/figures.mjs'
import { checkKernel, runLongForm } from './test/long-form.mjs'
import { Report } from './test/report.mjs'
import { matcherOf } from './test/selection.mjs'
import { filesOf } from './test/suites.mjs'
import { KERNEL_SERIES } from './vm/kernel.mjs'

const HARD = 'hard'
const FUZZ = 'fuzz'
const VM = 'vm'
const PARTS = [HARD, FUZZ, VM]
/** Of the tests in the virtual machine these have a long form. */
const LONG_IN_VM = ['vm/systems/soak', 'fuzz.test', 'vm/seccomp']

const USAGE = `Usage: npm run test:hard [-- OPTION… PART… FILE…]

Power cuts, failing disks, kill -9, the sandbox, hostile clients, the fuzzers, and millions of commands: the tests
that try to break it, in their long form. All of it takes an hour and more. PART is one of ${PARTS.join(', ')}; FILE is a
part of a test file's path; without any: everything.

  --minutes N      how long each test of a fuzzer runs (default 1)
  --soak N         commands over each device in the virtual machine (default two million, as over the socket)
  --seed S         of everything random (default 1)
  --kernel SERIES  of the virtual machine: ${KERNEL_SERIES.join(' or ')} (default ${KERNEL_SERIES[0]})
  --write          put the table into SECURITY.md, where lines of other parts stay as they are
  --help`

const RESULTS = path.join(projectRoot, 'build/hard')
const FIGURES = path.join(RESULTS, 'figures.json')
const TABLE = path.join(projectRoot, 'SECURITY.md')
const MARKERS = ['<!-- figures: npm run test:hard -- --write -->\n', '<!-- end of figures -->\n']
const HOUR_MS = 3_600_000

runMain(async () => {
  const options = parseArguments()
  if (options.help) {
    say(USAGE)
    return 0
  }
  const { parts, filters, minutes, soak, seed, kernel: series, write } = options
  const matches = matcherOf(filters)
  const withVm = parts.includes(VM)
  await setUp({ needs: withVm ? ['vm', 'test'] : ['test'], kernels: withVm ? [series] : [] })
  await step('Bundle the tests', buildTests)
  const hostFiles = [HARD, FUZZ].filter((part) => parts.includes(part)).map((part) => filesOf(part, matches))
  const long = (/** @type {string} */ file) => LONG_IN_VM.some((name) => file.includes(name))
  const vmFiles = withVm ? filesOf(VM, matches).filter(long) : []
  if (hostFiles.flat().length + vmFiles.length === 0) throw new UserError('No test matches', { hint: USAGE })

  mkdirSync(RESULTS, { recursive: true })
  rmSync(FIGURES, { force: true })
  /** @type {Record<string, string>} */
  const env = { SWTPM_HARD: '1', SWTPM_SEED: seed, SWTPM_FIGURES: FIGURES }
  env.SWTPM_FUZZ_SECONDS = String(Number(minutes) * 60)
  if (soak !== undefined) env.SWTPM_SOAK = soak
  const report = new Report({ verbose: true })
  // With two CPUs an emulated machine spends most of its time waking one from the other; its seconds are then
  // those of a processor that it is not.
  const guest = { shares: [RESULTS], timeoutMs: 4 * HOUR_MS, clock: /** @type {const} */ ('instructions') }
  const running = { concurrency: 1, silenceMs: HOUR_MS }
  await runLongForm(report, { hostGroups: hostFiles, vmFiles, series, env, running, guest })
  const good = report.close()
  const figures = readFigures(FIGURES)
  say()
  for (const { what, result } of figures) say(`${bold(what)}: ${result}`)
  if (write && good) writeTable(figures)
  return good ? 0 : 1
})

/** @param {import('./test/figures.mjs').Figure[]} figures */
function writeTable(figures) {
  const [begin, end] = /** @type {[string, string]} */ (MARKERS)
  const text = readFileSync(TABLE, 'utf8')
  const from = text.indexOf(begin) + begin.length
  const to = text.indexOf(end)
  if (from < begin.length || to < from) throw new UserError(`${TABLE} has no place for the table`)
  /** @type {Map<string, string>} */
  const rows = new Map()
  for (const [, what, result] of text.slice(from, to).matchAll(/^\| (.*?) \| (.*) \|$/gm))
    if (what !== 'Test' && result) rows.set(/** @type {string} */ (what), result)
  for (const { what, result } of figures) rows.set(what, result)
  const lines = [
    '| Test | Result |',
    '|---|---|',
    ...[...rows].map(([what, result]) => `| ${what} | ${result} |`),
  ]
  writeFileSync(TABLE, `${text.slice(0, from)}\n${lines.join('\n')}\n\n${text.slice(to)}`)
}

function parseArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        minutes: { type: 'string', default: '1' },
        soak: { type: 'string' },
        seed: { type: 'string', default: '1' },
        kernel: { type: 'string', default: KERNEL_SERIES[0] },
        write: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    checkKernel(values.kernel)
    for (const [name, text] of Object.entries({
      minutes: values.minutes,
      soak: values.soak,
      seed: values.seed,
    }))
      if (text !== undefined && !(Number(text) > 0)) throw new Error(`Not a number for --${name}: "${text}"`)
    const named = positionals.filter((word) => PARTS.includes(word))
    const filters = positionals.filter((word) => !PARTS.includes(word))
    return { ...values, parts: named.length > 0 ? named : PARTS, filters }
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), { hint: USAGE })
  }
}
