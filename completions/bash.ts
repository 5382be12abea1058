/** A completion file for bash: the words of a program, then the code that offers them (engine.bash). */
import type { DocumentedOption } from '../man/generator/programs.ts'
import type { SubOption } from '../src/programs/common/options/sub-option.ts'
import { type Kind, kindOf, subOptionKind } from './kinds.ts'
import type { CompletedProgram } from './program.ts'

/** @param engine the text of engine.bash */
export function bashCompletion(program: CompletedProgram, engine: string): string {
  const { name, commands, loneWords } = program
  const named = [...commands.keys()].filter((word) => word !== '')
  return `${[
    `# bash completion for ${name}(8); made from its option table, so do not edit it.  -*- shell-script -*-`,
    '',
    `_${name}_commands=(${[...named, ...loneWords].join(' ')})`,
    '',
    '# The options of a command.',
    `_${name}_options() {`,
    '  case $1 in',
    ...[...commands].map(([word, { options }]) => `    ${quoted(word)}) echo ${wordsOf(options)} ;;`),
    '  esac',
    '}',
    '',
    '# What the words are that belong to no option, one after the other; if of one kind, wherever they are.',
    `_${name}_operands() {`,
    '  case $1 in',
    ...[...commands].map(
      ([word, { operands }]) =>
        `    ${quoted(word)}) echo ${quoted(operands.map((kind) => kindText(kind, '-')).join(' '))} ;;`,
    ),
    '  esac',
    '}',
    '',
    '# Whether the command line of a TPM follows behind "--".',
    `_${name}_describes() {`,
    `  [[ ' ${[...commands].flatMap(([word, { describesTpm }]) => (describesTpm ? word : [])).join(' ')} ' == *" $1 "* ]]`,
    '}',
    '',
    '# The argument of an option; false if it has none.',
    `_${name}_describe() {`,
    '  case "$1 $2" in',
    ...[...commands].flatMap(([word, { options }]) =>
      options.flatMap((option) => argumentCase(word, option)),
    ),
    '    *) return 1 ;;',
    '  esac',
    '}',
    '',
  ].join('\n')}\n${engine.replaceAll('@program@', name).replaceAll('@programs@', name)}`
}

/** Both where an option has two names; a letter is not worth offering beside a name. */
const wordsOf = (options: readonly DocumentedOption[]): string =>
  options
    .filter(({ hidden }) => !hidden)
    .flatMap(({ words }) => words.filter((word) => word.startsWith('--') || word === words.at(-1)))
    .join(' ')

function argumentCase(command: string, option: DocumentedOption): string[] {
  if (option.ways.length === 0) return []
  const patterns = option.words.map((word) => quoted(`${command} ${word}`)).join(' | ')
  return [`    ${patterns}) echo ${quoted(argumentText(option))} ;;`]
}

function argumentText(option: DocumentedOption): string {
  if (option.sub === undefined) {
    const operand = option.operand === undefined ? '' : ` ${option.operand}`
    return `${kindText(kindOf(option), '-')}${operand}`
  }
  const entries = Object.entries<SubOption>(option.sub).map(([name, entry]) => {
    if (entry.kind === 'flag') return name
    return `${name}${entry.kind === 'bool' ? '?' : '='}${kindText(subOptionKind(entry), '-')}`
  })
  return ['LIST', ...entries].join(' ')
}

const kindText = (kind: Kind, none: string): string =>
  kind === undefined ? none : typeof kind === 'string' ? kind : kind.join('|')

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
