#!/usr/bin/env node
// `npm run fuzz`: the fuzzers of `npm test`, for as long as one likes, from new seeds.

import { randomInt } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { buildTests } from './build.mjs'
import { RESULTS, SANITIZER_LOG, sanitizedEngines } from './fuzz/sanitized-engine.mjs'
import { UserError } from './lib/command.mjs'
import { bold, lastLines, note, runMain, say, step } from './lib/terminal.mjs'
import { setUp } from './setup.mjs'
import { readFigures } from './test/figures.mjs'
import { checkKernel, runLongForm } from './test/long-form.mjs'
import { Report } from './test/report.mjs'
import { filesOf } from './test/suites.mjs'
import { KERNEL_SERIES } from './vm/kernel.mjs'

const HOST = 'fuzz'
/** Those that need a kernel with CUSE are among the tests of the virtual machine. */
const IN_VM = ['cuse-fuzz']

const USAGE = `Usage: npm run fuzz [-- OPTION… FUZZER…]

FUZZER is one of control, engine-channel, evil-engine, options, recordings, state-files, tpm-commands, tpm-structures and, in the
virtual machine, ${IN_VM.join(', ')}; without any: all of them. A failure says how to have its round again.

  --minutes N      how long each test of a fuzzer runs (default 1)
  --rounds N       as many rounds instead
  --seed S         where the seeds begin (default: anywhere)
  --sanitize WHAT  with engines that are watched: "address" by AddressSanitizer and UndefinedBehaviorSanitizer, "thread" by
                   ThreadSanitizer
  --kernel SERIES  of the virtual machine: ${KERNEL_SERIES.join(' or ')} (default ${KERNEL_SERIES[0]})
  --help`

/** How long after its time a test may still be busy with its last round, on an emulated processor too. */
const GRACE_MS = 300_000

runMain(async () => {
  const options = parseArguments()
  if (options.help) {
    say(USAGE)
    return 0
  }
  const { minutes, rounds, seed, sanitize, wanted } = options
  const withVm = IN_VM.some((name) => wanted(`vm/${name}.test.js`))
  await setUp({ needs: withVm ? ['vm', 'test'] : ['test'], kernels: withVm ? [options.kernel] : [] })
  await step('Bundle the tests', buildTests)
  const hostFiles = filesOf(HOST).filter(wanted)
  const vmFiles = filesOf('vm').filter((file) => IN_VM.includes(nameOf(file)) && wanted(file))
  if (hostFiles.length + vmFiles.length === 0) throw new UserError('No such fuzzer', { hint: USAGE })
  mkdirSync(RESULTS, { recursive: true })
  const figures = path.join(RESULTS, 'figures.json')
  for (const file of [figures, SANITIZER_LOG]) rmSync(file, { force: true })
  /** @type {Record<string, string>} */
  const env = { SWTPM_SEED: String(seed), SWTPM_FIGURES: figures }
  if (rounds === undefined) env.SWTPM_FUZZ_SECONDS = String(minutes * 60)
  else env.SWTPM_FUZZ_ROUNDS = String(rounds)
  if (sanitize)
    Object.assign(
      env,
      await step('Compile the engines with sanitizers', (progress) => sanitizedEngines(sanitize, progress)),
    )

  note(`The seeds begin at ${seed}`)
  const report = new Report({ verbose: true })
  const running = { concurrency: 1, silenceMs: minutes * 60_000 + GRACE_MS }
  const guest = { shares: [RESULTS], timeoutMs: vmFiles.length * 4 * running.silenceMs }
  await runLongForm(report, { hostGroups: [hostFiles], vmFiles, series: options.kernel, env, running, guest })
  const good = report.close()
  say()
  for (const { what, result } of readFigures(figures)) say(`${bold(what)}: ${result}`)
  const found = sanitizerReports()
  if (found) say(`\n${bold('The sanitizers say')}\n${found}`)
  return good && !found ? 0 : 1
})

/** @returns {string} nothing where they have found nothing; libtpms writes to the same place */
function sanitizerReports() {
  const log = existsSync(SANITIZER_LOG) ? readFileSync(SANITIZER_LOG, 'utf8') : ''
  return /Sanitizer|runtime error:/.test(log) ? lastLines(log, 100) : ''
}

function parseArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        minutes: { type: 'string', default: '1' },
        rounds: { type: 'string' },
        seed: { type: 'string', default: String(randomInt(2 ** 31)) },
        sanitize: { type: 'string' },
        kernel: { type: 'string', default: KERNEL_SERIES[0] },
        help: { type: 'boolean', default: false },
      },
    })
    checkKernel(values.kernel)
    return {
      minutes: positive('--minutes', values.minutes),
      rounds: values.rounds === undefined ? undefined : positive('--rounds', values.rounds),
      seed: positive('--seed', values.seed),
      sanitize: sanitizerOf(values.sanitize),
      kernel: values.kernel,
      help: values.help,
      wanted: (/** @type {string} */ file) => positionals.length === 0 || positionals.includes(nameOf(file)),
    }
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), { hint: USAGE })
  }
}

/** @param {string | undefined} text @returns {import('./fuzz/sanitized-engine.mjs').Sanitizer | undefined} */
function sanitizerOf(text) {
  if (text === undefined || text === 'address' || text === 'thread') return text
  throw new Error(`--sanitize "${text}" is neither "address" nor "thread"`)
}

/** @param {string} option @param {string} text */
function positive(option, text) {
  const number = Number(text)
  if (!(number > 0)) throw new Error(`Not a number for ${option}: "${text}"`)
  return number
}

/** @param {string} file "fuzz/control.test.js" @returns {string} "control" */
function nameOf(file) {
  return path.basename(file, '.test.js')
}
