/** What can follow `swtpm` on a command line, with its options and verbs: behind completion at run time and as installed files. */

import { interfaceTable } from '../../command-line/options/table.ts'
import { INTERFACES } from '../../serve/config.ts'
import type { OptionTable } from '../common/options/option-table.ts'
import { CDI_OPTIONS, CDI_VERBS } from './cdi/cdi-options.ts'
import { DOCTOR_OPTIONS, USES } from './doctor/doctor-options.ts'
import { FAULT_OPTIONS, FAULT_VERBS } from './fault/fault-options.ts'
import { FLEET_OPTIONS, FLEET_VERBS } from './fleet/fleet-options.ts'
import { KTEST_OPTIONS } from './ktest/ktest-options.ts'
import { LIST_OPTIONS } from './list/list-options.ts'
import { RECORD_OPTIONS } from './record/record-options.ts'
import { REPLAY_OPTIONS } from './replay/replay-options.ts'
import { RUN_OPTIONS } from './run/run-options.ts'
import { STATE_OPTIONS, STATE_VERBS } from './state/state-options.ts'
import { TRACE_OPTIONS } from './trace/trace-options.ts'

export interface Subcommand {
  readonly options: OptionTable
  /** One of these may follow first. */
  readonly verbs: readonly string[]
  /** What its words are, one after the other, where the verb is not the first or more is known than that. */
  readonly operands?: readonly ('FILE' | 'VERB' | 'RULE')[]
  /** Behind `--` follows the command line of a TPM. */
  readonly describesTpm?: boolean
}

/** First word → what may follow it. */
export const SUBCOMMANDS: ReadonlyMap<string, Subcommand> = new Map<string, Subcommand>([
  ...INTERFACES.map((iface) => [iface, { options: interfaceTable(iface), verbs: [] }] as const),
  ['fleet', { options: FLEET_OPTIONS, verbs: FLEET_VERBS, describesTpm: true }],
  ['fault', { options: FAULT_OPTIONS, verbs: FAULT_VERBS, operands: ['FILE', 'VERB', 'RULE'] }],
  ['run', { options: RUN_OPTIONS, verbs: [] }],
  ['ktest', { options: KTEST_OPTIONS, verbs: [] }],
  ['cdi', { options: CDI_OPTIONS, verbs: CDI_VERBS }],
  ['record', { options: RECORD_OPTIONS, verbs: [] }],
  ['replay', { options: REPLAY_OPTIONS, verbs: [] }],
  ['doctor', { options: DOCTOR_OPTIONS, verbs: USES }],
  ['list', { options: LIST_OPTIONS, verbs: [] }],
  ['state', { options: STATE_OPTIONS, verbs: STATE_VERBS, operands: ['VERB', 'FILE', 'FILE'] }],
  ['trace', { options: TRACE_OPTIONS, verbs: [] }],
])

/** First words that nothing follows. */
export const LONE_WORDS = ['completion', '--help', '--version'] as const
