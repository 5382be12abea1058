/** A completion file for bash: the words of a program, then the code that offers them (engine.bash). */
import type { DocumentedOption } from '../man/generator/programs.ts'
import { type Kind, kindOf, subOptionKind } from './kinds.ts'
import type { CompletedProgram } from './program.ts'

/** @param engine the text of engine.bash */
export function bashCompletion(program: CompletedProgram, engine: string): string {
  const { name, interfaces, firstWords, operand } = program
  const named = [...interfaces.keys()].filter((iface) => iface !== '')
  return `${[
    `# bash completion for ${name}(8); made from its option table, so do not edit it.  -*- shell-script -*-`,
    '',
    `_${name}_interfaces=(${[...named, ...firstWords].join(' ')})`,
    `_${name}_operand=${quoted(kindText(operand, ''))}`,
    '',
    '# The options of an interface.',
    `_${name}_options() {`,
    '  case $1 in',
    ...[...interfaces].map(([iface, options]) => `    ${quoted(iface)}) echo ${wordsOf(options)} ;;`),
    '  esac',
    '}',
    '',
    '# The argument of an option; false if it has none.',
    `_${name}_describe() {`,
    '  case "$1 $2" in',
    ...[...interfaces].flatMap(([iface, options]) =>
      options.flatMap((option) => argumentCase(iface, option)),
    ),
    '    *) return 1 ;;',
    '  esac',
    '}',
    '',
  ].join('\n')}\n${engine.replaceAll('@program@', name).replaceAll('@commands@', name)}`
}

const wordsOf = (options: readonly DocumentedOption[]): string =>
  options
    .filter(({ hidden }) => !hidden)
    .map(({ words }) => words.at(-1))
    .join(' ')

function argumentCase(iface: string, option: DocumentedOption): string[] {
  if (option.ways.length === 0) return []
  const patterns = option.words.map((word) => quoted(`${iface} ${word}`)).join(' | ')
  return [`    ${patterns}) echo ${quoted(argumentText(option))} ;;`]
}

function argumentText(option: DocumentedOption): string {
  if (option.sub === undefined) {
    const operand = option.operand === undefined ? '' : ` ${option.operand}`
    return `${kindText(kindOf(option), '-')}${operand}`
  }
  const entries = Object.entries(option.sub).map(([name, entry]) => {
    if (entry.kind === 'flag') return name
    return `${name}${entry.kind === 'bool' ? '?' : '='}${kindText(subOptionKind(entry), '-')}`
  })
  return ['LIST', ...entries].join(' ')
}

const kindText = (kind: Kind, none: string): string =>
  kind === undefined ? none : typeof kind === 'string' ? kind : kind.join('|')

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
