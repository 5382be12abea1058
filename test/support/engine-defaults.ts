/** The options of an engine that serves a TPM 2.0 from a directory and is told nothing else. */
import { ENGINE_OPTIONS, type EngineOption, type EngineOptionValues } from '../../contract/engine-options.ts'
import { SECCOMP_ACTION } from './swtpm.ts'

const CHOSEN = { tpmVersion: '2', backend: 'dir', seccomp: SECCOMP_ACTION ?? 'kill', logLevel: 1 } as const

export const ENGINE_DEFAULTS = {
  ...Object.fromEntries(
    Object.entries<EngineOption>(ENGINE_OPTIONS).map(([name, row]) => [name, unless(row)]),
  ),
  ...CHOSEN,
} as EngineOptionValues

function unless(row: EngineOption): unknown {
  switch (row.kind) {
    case 'switch':
      return !row.when
    case 'text':
      return ''
    case 'enum':
      return row.choices[0]
    default:
      return row.default
  }
}
