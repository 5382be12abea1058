/** A completion file for zsh, in the terms of its _arguments and _values. @see zshcompsys(1) */

import type { DocumentedOption } from '../man/generator/programs.ts'
import type { SubOption, SubOptionSchema } from '../src/programs/common/options/sub-option.ts'
import { type Kind, kindOf, subOptionKind } from './kinds.ts'
import type { CompletedProgram } from './program.ts'

export function zshCompletion({ name, commands, loneWords }: CompletedProgram): string {
  const functions = new Map<string, string[]>()
  const bodies = [...commands].map(([word, { options, operands, describesTpm }]) => {
    const specs = options.filter(({ hidden }) => !hidden).map((option) => optionSpec(name, option, functions))
    // A file may stand anywhere, a verb once.
    const place = operands.length === 1 && typeof operands[0] === 'string' ? '*' : undefined
    for (const [at, kind] of operands.entries())
      specs.push(quoted(`${place ?? at + 1}:${message(kind)}:${action(kind)}`))
    return [word, specs, describesTpm ?? false] as const
  })
  const [only] = bodies
  const main =
    only !== undefined && only[0] === ''
      ? argumentsCall(only[1], '  ')
      : [
          '  if ((CURRENT == 2)); then',
          `    compadd -- ${[...commands.keys(), ...loneWords].join(' ')}`,
          '    return',
          '  fi',
          '  local command=$words[2] end',
          '  shift words',
          '  ((CURRENT--))',
          '  case $command in',
          ...bodies.flatMap(([word, specs, describesTpm]) => [
            `    ${word})`,
            ...(describesTpm ? commandLineOfTpm(name) : []),
            ...argumentsCall(specs, '      '),
            '      ;;',
          ]),
          '  esac',
        ]
  return `${[
    `#compdef ${name}`,
    `# zsh completion for ${name}(8); made from its option table, so do not edit it.`,
    '',
    ...[...functions.values()].flatMap((lines) => [...lines, '']),
    `_${name}() {`,
    ...main,
    '}',
    '',
    `_${name} "$@"`,
  ].join('\n')}\n`
}

/** Behind `--` the program's own first words follow again. */
const commandLineOfTpm = (name: string): string[] => [
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's placeholder
  '      end=${words[(i)--]}',
  '      if ((end < CURRENT)); then',
  `        words=(${name} "\${(@)words[end+1,-1]}")`,
  '        ((CURRENT -= end - 1))',
  `        _${name}`,
  '        return',
  '      fi',
]

const argumentsCall = (specs: readonly string[], indent: string): string[] =>
  [`${indent}_arguments -s`, ...specs.map((spec) => `${indent}  ${spec}`)].map((line, index, all) =>
    index < all.length - 1 ? `${line} \\` : line,
  )

function optionSpec(program: string, option: DocumentedOption, functions: Map<string, string[]>): string {
  const takesArgument = option.ways.length > 0
  const spellings = option.words.map((word) => {
    if (!takesArgument) return word
    return word.startsWith('--') ? `${word}=` : word
  })
  let tail = `[${described(option.describe)}]`
  if (takesArgument) {
    const what = option.sub
      ? subOptionFunction(program, option.name, option.sub, functions)
      : action(kindOf(option))
    tail += `${option.argumentOptional ? '::' : ':'}${described(option.ways[0]!)}:${what}`
    if (option.operand !== undefined) tail += ':file:_files'
  }
  if (spellings.length === 1) return quoted(`${spellings[0]}${tail}`)
  return `${quoted(`(${option.words.join(' ')})`)}{${spellings.join(',')}}${quoted(tail)}`
}

/** The name of the function that completes this list; interfaces that share an option share it. */
function subOptionFunction(
  program: string,
  option: string,
  schema: SubOptionSchema,
  functions: Map<string, string[]>,
): string {
  const name = `_${program}_${option.replaceAll('-', '_')}`
  if (!functions.has(name)) {
    const specs = Object.entries<SubOption>(schema).map(([sub, entry]) => quoted(valueSpec(sub, entry)))
    functions.set(name, [
      `${name}() {`,
      ...[`  _values -s , 'sub-option of --${option}'`, ...specs.map((spec) => `    ${spec}`)].map(
        (line, index, all) => (index < all.length - 1 ? `${line} \\` : line),
      ),
      '}',
    ])
  }
  return name
}

function valueSpec(name: string, entry: SubOption): string {
  const text = `${name}[${described(entry.describe)}]`
  if (entry.kind === 'flag') return text
  const kind = subOptionKind(entry)
  return `${text}${entry.kind === 'bool' ? '::' : ':'}${message(kind) || (entry.metavar ?? 'value').toLowerCase()}:${action(kind)}`
}

const message = (kind: Kind): string =>
  kind === undefined ? '' : typeof kind === 'string' ? kind.toLowerCase() : 'one of'

function action(kind: Kind): string {
  switch (kind) {
    case undefined:
      return ' '
    case 'FILE':
      return '_files'
    case 'DIR':
      return '_files -/'
    case 'USER':
      return '_users'
    case 'GROUP':
      return '_groups'
    case 'RULE':
      return inLanguage('socket --fault')
    case 'MODE':
      return inLanguage('socket --mode')
    case 'WHEN':
      return inLanguage('trace --grep')
    default:
      return `(${kind.join(' ')})`
  }
}

/** Only the program knows. A rule is in quotes, which are no part of what it is asked. */
const inLanguage = (option: string): string =>
  `{compadd -S "" -- \${(f)"$(swtpm --get-yargs-completions swtpm ${option} "\${(Q)PREFIX}" 2>/dev/null)"}}`

/** In a description, brackets and colons would end it. */
const described = (text: string): string => text.replaceAll(/[[\]:\\]/g, '\\$&')

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
