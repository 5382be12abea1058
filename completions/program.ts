/** The programs that have completion, and what completion needs to know beyond their options. */
import { type DocumentedOption, documented, swtpmOptions, tools } from '../man/generator/programs.ts'
import { LONE_WORDS, SUBCOMMANDS } from '../src/programs/swtpm/subcommands.ts'
import type { Kind } from './kinds.ts'

/** What can follow a program, or one of its first words. */
export interface CompletedCommand {
  readonly options: readonly DocumentedOption[]
  /** What the words are that belong to no option, one after the other; of one kind alone, wherever they are. */
  readonly operands: readonly Kind[]
  /** Behind `--` follows a command line of the same program, from its first word on. */
  readonly describesTpm?: boolean
}

export interface CompletedProgram {
  readonly name: string
  /** First word → what follows it; one entry with the name '' for a program without such words. */
  readonly commands: ReadonlyMap<string, CompletedCommand>
  /** What may stand in the place of the first word besides. */
  readonly loneWords: readonly string[]
}

const plain = (
  name: string,
  options: readonly DocumentedOption[],
  ...operands: Kind[]
): CompletedProgram => ({
  name,
  commands: new Map([['', { options, operands }]]),
  loneWords: [],
})

export const programs: readonly CompletedProgram[] = [
  {
    name: 'swtpm',
    commands: new Map(
      [...SUBCOMMANDS].map(([word, { options, verbs, operands, describesTpm = false }]) => [
        word,
        {
          options: documented(options),
          operands:
            operands?.map((kind) => (kind === 'VERB' ? verbs : kind)) ?? (verbs.length > 0 ? [verbs] : []),
          describesTpm,
        },
      ]),
    ),
    loneWords: LONE_WORDS,
  },
  plain('swtpm_cuse', swtpmOptions('cuse')),
  plain('swtpm_ioctl', tools.swtpm_ioctl, 'FILE'),
  plain('swtpm_bios', tools.swtpm_bios),
  plain('swtpm_setup', tools.swtpm_setup),
  plain('swtpm_localca', tools.swtpm_localca),
  plain('swtpm_cert', tools.swtpm_cert),
]
