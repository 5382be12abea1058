// What is checked without running anything: types, style, formatting.

import { whyFormatUnchecked } from '../lib/clang-format-version.mjs'
import { run, UserError } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'

/** `unless`: why it cannot be done on this machine. @type {{ name: string, command: string[], unless?: () => string | undefined }[]} */
const CHECKS = [
  { name: 'types (tsc)', command: ['node_modules/.bin/tsc', '--noEmit', '--pretty', 'false'] },
  {
    name: 'types of the scripts (tsc)',
    command: ['node_modules/.bin/tsc', '-p', 'scripts', '--pretty', 'false'],
  },
  { name: 'style (biome)', command: ['node_modules/.bin/biome', 'check', '--colors=off', '.'] },
  {
    name: 'layers (dependency-cruiser)',
    command: ['node_modules/.bin/depcruise', '--config', 'dependency-cruiser.config.mjs', 'contract', 'src'],
  },
  { name: 'contract (what is made from it)', command: [process.execPath, 'scripts/contract.mjs', '--check'] },
  {
    name: 'C++ format (clang-format)',
    command: [process.execPath, 'scripts/clang-format.mjs'],
    unless: whyFormatUnchecked,
  },
]

/** @param {(record: import('./records.mjs').RunRecord) => void} emit */
export async function runChecks(emit) {
  const started = performance.now()
  await Promise.all(
    CHECKS.map(async ({ name, command, unless }) => {
      const outcome = await outcomeOf(command, unless?.())
      emit({
        kind: 'test',
        file: 'checks',
        path: [name],
        durationMs: performance.now() - started,
        ...outcome,
      })
    }),
  )
  emit({ kind: 'file', file: 'checks', durationMs: performance.now() - started, output: '' })
}

/**
 * @param {string[]} command
 * @param {string} [skipped] why it is not run
 * @returns {Promise<Pick<import('./records.mjs').TestResult, 'outcome' | 'detail'>>}
 */
async function outcomeOf([program, ...args], skipped) {
  if (skipped) return { outcome: 'skipped', detail: skipped }
  try {
    await run(program, args, { cwd: projectRoot })
    return { outcome: 'passed' }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return { outcome: 'failed', detail: [error.message, error.output].filter(Boolean).join('\n') }
  }
}
