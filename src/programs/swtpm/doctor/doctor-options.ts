/** The options of `swtpm doctor`: the parser, its help and shell completion are made from this table. */
import type { OptionTable } from '../../common/options/option-table.ts'

/** What can be done with the program; each is a word that may follow. */
export const USES = ['socket', 'cuse', 'vtpm-proxy', 'services', 'libvirt', 'containers'] as const
export type Use = (typeof USES)[number]

export const DOCTOR_OPTIONS = {
  json: { group: 'What is printed', describe: 'JSON in place of lines' },
  help: { alias: 'h', group: 'Help', describe: 'this text', endsReading: true },
} as const satisfies OptionTable
