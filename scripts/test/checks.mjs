// What is checked without running anything: types, style, formatting.

import { run, UserError } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'

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
  { name: 'C++ format (clang-format)', command: [process.execPath, 'scripts/clang-format.mjs'] },
]

/** @param {(record: import('./records.mjs').RunRecord) => void} emit */
export async function runChecks(emit) {
  const started = performance.now()
  await Promise.all(
    CHECKS.map(async ({ name, command: [program, ...args] }) => {
      const failure = await run(program, args, { cwd: projectRoot }).then(
        () => undefined,
        (error) => error,
      )
      if (failure && !(failure instanceof UserError)) throw failure
      const durationMs = performance.now() - started
      emit({
        kind: 'test',
        file: 'checks',
        path: [name],
        durationMs,
        ...(failure
          ? { outcome: 'failed', detail: [failure.message, failure.output].filter(Boolean).join('\n') }
          : { outcome: 'passed' }),
      })
    }),
  )
  emit({ kind: 'file', file: 'checks', durationMs: performance.now() - started, output: '' })
}
