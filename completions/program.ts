/** The programs that have completion, and what completion needs to know beyond their options. */
import {
  type DocumentedOption,
  fleetOptions,
  INTERFACES,
  swtpmOptions,
  tools,
} from '../man/generator/programs.ts'
import type { Kind } from './kinds.ts'

export interface CompletedProgram {
  readonly name: string
  /** First word → options; one entry with the name '' for a program without interfaces. */
  readonly interfaces: ReadonlyMap<string, readonly DocumentedOption[]>
  /** What may stand in the place of the first word besides. */
  readonly firstWords: readonly string[]
  /** What a word that belongs to no option is. */
  readonly operand?: Kind
}

const plain = (name: string, options: readonly DocumentedOption[], operand?: Kind): CompletedProgram => ({
  name,
  interfaces: new Map([['', options]]),
  firstWords: [],
  operand,
})

export const programs: readonly CompletedProgram[] = [
  {
    name: 'swtpm',
    interfaces: new Map([
      ...INTERFACES.map((iface) => [iface, swtpmOptions(iface)] as const),
      ['fleet', fleetOptions],
    ]),
    firstWords: ['completion', '--help', '--version'],
  },
  plain('swtpm_cuse', swtpmOptions('cuse')),
  plain('swtpm_ioctl', tools.swtpm_ioctl, 'FILE'),
  plain('swtpm_bios', tools.swtpm_bios),
  plain('swtpm_setup', tools.swtpm_setup),
  plain('swtpm_localca', tools.swtpm_localca),
  plain('swtpm_cert', tools.swtpm_cert),
]
