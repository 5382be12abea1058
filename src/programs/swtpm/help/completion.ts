/**
 * Shell completion from the option tables: first words, verbs, options, sub-options and their values. File names are left to the
 * shell, which completes them when nothing is proposed here.
 *
 * `swtpm completion` prints the script of yargs, for bash or zsh; that script asks `swtpm --get-yargs-completions WORDS`,
 * which {@link complete} answers without yargs, because the user waits for it at a key press.
 */
import { loadYargs } from '../../common/load-yargs.ts'
import { OptionNames } from '../../common/options/find-option.ts'
import { type OptionTable, takesValue } from '../../common/options/option-table.ts'
import type { SubOption, SubOptionSchema } from '../../common/options/sub-option.ts'
import { labelOf } from '../../common/options/synopsis.ts'
import { LONE_WORDS, SUBCOMMANDS } from '../subcommands.ts'

/** The word with which the script of yargs asks for proposals. */
export const COMPLETION_REQUEST = '--get-yargs-completions'

/** Prints the completion script for the shell that SHELL names; goes into ~/.bashrc or ~/.zshrc. */
export async function printCompletionScript(program = 'swtpm'): Promise<void> {
  const yargs = await loadYargs()
  yargs([]).scriptName(program).completion('completion').showCompletionScript()
}

/**
 * Proposals for the last of the words, as replacements of it.
 * @param words of the command line, the program's name first; bash has cut them at `=`
 */
export async function complete(words: readonly string[]): Promise<string[]> {
  const current = words.at(-1) ?? ''
  const joined = joinCut(words.slice(1))
  const word = joined.at(-1) ?? ''
  // What the shell has put into words of its own must not be part of the answer.
  const kept = word.length - (isCut(current) ? 0 : current.length)
  return (await proposals(joined.slice(0, -1), word))
    .filter((proposal) => proposal.startsWith(word))
    .map((proposal) => proposal.slice(kept))
}

/** @param before the whole words in front of the one that is to be completed */
async function proposals(before: readonly string[], word: string): Promise<string[]> {
  const [first, ...rest] = before
  if (first === undefined) return [...SUBCOMMANDS.keys(), ...LONE_WORDS]
  const subcommand = SUBCOMMANDS.get(first)
  if (subcommand === undefined) return []
  const end = rest.indexOf('--')
  if (subcommand.describesTpm && end >= 0) return proposals(rest.slice(end + 1), word)
  const options = await optionProposals(subcommand.options, rest.at(-1), word)
  if (subcommand.operands === undefined || word.startsWith('-'))
    return rest.length === 0 ? [...subcommand.verbs, ...options] : options
  switch (subcommand.operands[rest.length]) {
    case 'VERB':
      return [...subcommand.verbs]
    case 'RULE':
      return inLanguage('RULE', word)
    case 'FILE':
      return []
    default:
      return options
  }
}

async function optionProposals(
  table: OptionTable,
  previous: string | undefined,
  word: string,
): Promise<string[]> {
  const asked = previous === undefined ? undefined : optionOf(table, previous)
  if (asked?.value === 'RULE' || asked?.value === 'WHEN') return inLanguage(asked.value, word)
  if (asked?.value === 'NAME[=VALUE]') return (await import('./rule-completion.ts')).modeProposals()
  if (asked !== undefined && takesValue(asked)) {
    return asked.sub === undefined
      ? [...(asked.choices ?? asked.suggestions ?? [])]
      : subOptionProposals(asked.sub, word)
  }
  const [, name, value] = /^--([^=]+)=(.*)$/s.exec(word) ?? []
  if (name !== undefined && value !== undefined) {
    return subOptionProposals(table[name]?.sub ?? {}, value).map((proposal) => `--${name}=${proposal}`)
  }
  return Object.entries(table)
    .filter(([, { hidden }]) => !hidden)
    .map(([long]) => `--${long}`)
}

/** What is written in the language of `--fault`. */
async function inLanguage(what: 'RULE' | 'WHEN', word: string): Promise<string[]> {
  const { ruleProposals, whenProposals } = await import('./rule-completion.ts')
  return what === 'RULE' ? [...ruleProposals(word), ...(word === '' ? ['help'] : [])] : whenProposals(word)
}

/** The option that a whole word is: `--port`, `-p`. */
function optionOf(table: OptionTable, word: string) {
  const name = word.startsWith('--') ? word.slice(2) : new OptionNames(table, false).ofLetter(word.slice(1))
  return name !== undefined && word.startsWith('-') && Object.hasOwn(table, name) ? table[name] : undefined
}

/** Ways to go on with a list of sub-options: a name that is not there yet, or a value of the last one. */
function subOptionProposals(schema: SubOptionSchema, list: string): string[] {
  const comma = list.lastIndexOf(',')
  const done = list.slice(0, comma + 1)
  const item = list.slice(comma + 1)
  const given = done.split(',').map((each) => each.split('=')[0])
  const equals = item.indexOf('=')
  if (equals < 0) {
    return Object.entries(schema)
      .filter(([name]) => !given.includes(name))
      .map(([name, entry]) => done + nameProposal(name, entry))
  }
  const name = item.slice(0, equals)
  return valuesOf(schema[name]).map((value) => `${done}${name}=${value}`)
}

function nameProposal(name: string, entry: SubOption): string {
  return labelOf(name, entry).startsWith(`${name}=`) ? `${name}=` : name
}

function valuesOf(entry: SubOption | undefined): readonly string[] {
  if (entry === undefined) return []
  if (entry.kind === 'enum') return entry.choices
  return entry.kind === 'bool' || entry.kind === 'flag' ? ['true', 'false'] : []
}

/** Where bash has cut a word. */
const isCut = (word: string): boolean => word === '=' || word === ':'

/** Puts together again what bash has cut: `dir`, `=`, `/tmp` is one word. */
function joinCut(words: readonly string[]): string[] {
  const joined: string[] = []
  let glue = false
  for (const word of words) {
    const attach = joined.length > 0 && (glue || isCut(word))
    if (attach) joined.push(joined.pop()! + word)
    else joined.push(word)
    glue = isCut(word)
  }
  return joined
}
