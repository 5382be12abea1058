/** A completion file for zsh, in the terms of its _arguments and _values. @see zshcompsys(1) */

import type { DocumentedOption } from '../man/generator/programs.ts'
import type { SubOption, SubOptionSchema } from '../src/programs/swtpm/options/option.ts'
import { type Kind, kindOf, subOptionKind } from './kinds.ts'
import type { CompletedProgram } from './program.ts'

export function zshCompletion({ name, interfaces, firstWords, operand }: CompletedProgram): string {
  const functions = new Map<string, string[]>()
  const bodies = [...interfaces].map(([iface, options]) => {
    const specs = options.filter(({ hidden }) => !hidden).map((option) => optionSpec(name, option, functions))
    if (operand !== undefined) specs.push(quoted(`*:${message(operand)}:${action(operand)}`))
    return [iface, specs] as const
  })
  const [only] = bodies
  const main =
    only !== undefined && only[0] === ''
      ? argumentsCall(only[1], '  ')
      : [
          '  if ((CURRENT == 2)); then',
          `    compadd -- ${[...interfaces.keys(), ...firstWords].join(' ')}`,
          '    return',
          '  fi',
          '  local interface=$words[2]',
          '  shift words',
          '  ((CURRENT--))',
          '  case $interface in',
          ...bodies.flatMap(([iface, specs]) => [
            `    ${iface})`,
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
    const specs = Object.entries(schema).map(([sub, entry]) => quoted(valueSpec(sub, entry)))
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
    default:
      return `(${kind.join(' ')})`
  }
}

/** In a description, brackets and colons would end it. */
const described = (text: string): string => text.replaceAll(/[[\]:\\]/g, '\\$&')

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
