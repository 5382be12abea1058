/**
 * Shell completion from the option table: interfaces, options, sub-options and their values. File names are left to the
 * shell, which completes them when nothing is proposed here.
 *
 * `swtpm completion` prints the script of yargs, for bash or zsh; that script asks `swtpm --get-yargs-completions WORDS`,
 * which {@link complete} answers without yargs, because it is on the way of every keystroke.
 */
import { FLEET_OPTIONS, FLEET_VERBS } from '../fleet/fleet-options.ts'
import type { Interface, SubOption, SubOptionSchema } from '../options/option.ts'
import { optionsOf } from '../options/table.ts'
import { labelOf } from './layout.ts'

/** The word with which the script of yargs asks for proposals. */
export const COMPLETION_REQUEST = '--get-yargs-completions'

const INTERFACES: readonly Interface[] = ['socket', 'chardev', 'cuse']

/** Prints the completion script for the shell that SHELL names; goes into ~/.bashrc or ~/.zshrc. */
export async function printCompletionScript(program = 'swtpm'): Promise<void> {
  const { default: yargs } = await import('yargs')
  yargs([]).scriptName(program).completion('completion').showCompletionScript()
}

/**
 * Proposals for the last of the words, as replacements of it.
 * @param words what stands on the command line, the program's name first; bash has cut them at `=`
 */
export function complete(words: readonly string[]): string[] {
  const current = words.at(-1) ?? ''
  const joined = joinAtEquals(words.slice(1))
  const word = joined.at(-1) ?? ''
  // What the shell has put into words of its own must not be part of the answer.
  const kept = word.length - (current === '=' ? 0 : current.length)
  return proposals(joined.slice(0, -1), word)
    .filter((proposal) => proposal.startsWith(word))
    .map((proposal) => proposal.slice(kept))
}

function proposals(before: readonly string[], word: string): string[] {
  const iface = INTERFACES.find((name) => name === before[0])
  if (iface === undefined) {
    if (before.length === 0) return [...INTERFACES, 'fleet', '--help', '--version']
    return before[0] === 'fleet' ? fleetProposals(before.slice(1), word) : []
  }
  const rows = optionsOf(iface)

  const previous = before.at(-1)
  const asked = rows.find(
    ([name, row]) =>
      row.type === 'string' && (previous === `--${name}` || (row.alias && previous === `-${row.alias}`)),
  )
  if (asked !== undefined) return subOptionProposals(asked[1].sub ?? {}, word)

  const [, name, argument] = /^--([^=]+)=(.*)$/s.exec(word) ?? []
  if (name !== undefined && argument !== undefined) {
    const schema = rows.find(([long]) => long === name)?.[1].sub ?? {}
    return subOptionProposals(schema, argument).map((proposal) => `--${name}=${proposal}`)
  }
  return rows.map(([long]) => `--${long}`)
}

/** Behind `--` is the command line of a TPM. */
function fleetProposals(before: readonly string[], word: string): string[] {
  const described = before.indexOf('--')
  if (described >= 0) return proposals(before.slice(described + 1), word)
  const options = Object.keys(FLEET_OPTIONS).map((name) => `--${name}`)
  return before.length === 0 ? [...FLEET_VERBS, ...options] : options
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

/** Puts together again what bash has cut: `dir`, `=`, `/tmp` is one word. */
function joinAtEquals(words: readonly string[]): string[] {
  const joined: string[] = []
  let glue = false
  for (const word of words) {
    const attach = joined.length > 0 && (glue || word === '=')
    if (attach) joined.push(joined.pop()! + word)
    else joined.push(word)
    glue = word === '='
  }
  return joined
}
