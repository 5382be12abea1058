/**
 * Makes a manual page from its template: hand-written prose in the man(7) macros, with lines that begin with `@` where the
 * tables have to say something.
 *
 *   @table swtpm [INTERFACE] | TOOL   which options the following lines mean
 *   @option NAME                      this option's entry; prose below it may go on with `.IP`
 *   @rest HEADING                     the entries of the options under a heading that stand nowhere else
 *   @rest                             all that are left, each group under a heading of its own
 *   @environment, @exitcodes, @examples INTERFACE
 *   @verb NAME                        numbers and structure of a PTM verb
 *   @constants PREFIX
 *   @rules                            the language of --fault
 *
 * A page that leaves an option or a verb out cannot be made. `@VERSION@` in a line becomes the version.
 */

import { type VerbName, verbNames } from '../../contract/verbs.ts'
import type { SubOptionSchema } from '../../src/programs/common/options/sub-option.ts'
import { topics } from '../../src/programs/swtpm/help/topics.ts'
import { effectHelp } from '../../src/responders/rules/effect-help.ts'
import type { Interface } from '../../src/serve/config.ts'
import { INTERFACES } from '../../src/serve/config.ts'
import { PACKAGE_VERSION } from '../../src/system/version.ts'
import { definitions, examples, optionEntry } from './option-entry.ts'
import { type DocumentedOption, subcommands, swtpmOptions, type Tool, tools } from './programs.ts'
import { literal } from './roff.ts'
import { constants, verbEntry } from './verb-entry.ts'

/** @param file the template's name, for errors. @throws Error naming file, line and fault */
export function makePage(file: string, template: string): string {
  const page = new Page()
  const lines = template
    .trimEnd()
    .split('\n')
    .flatMap((line, index) => {
      // Terms are never divided, and lines with long ones are not stretched.
      if (line.startsWith('.TH ')) return [line.replaceAll('@VERSION@', PACKAGE_VERSION), '.nh', '.ad l']
      if (!line.startsWith('@')) return [line.replaceAll('@VERSION@', PACKAGE_VERSION)]
      const [directive = '', ...words] = line.slice(1).split(' ')
      try {
        return page.expand(directive, words)
      } catch (error) {
        throw new Error(`${file}:${index + 1}: ${(error as Error).message}`, { cause: error })
      }
    })
  const missing = page.missing()
  if (missing.length > 0) throw new Error(`${file}: no line says where to put ${missing.join(', ')}`)
  // What follows a heading begins a paragraph anyway.
  return `${lines.filter((line, index) => line !== '.PP' || !/^\.S[HS] /.test(lines[index - 1] ?? '')).join('\n')}\n`
}

class Page {
  #options: DocumentedOption[] = []
  readonly #verbs = new Set<VerbName>()
  /** Which option has described a set of sub-options. */
  readonly #described = new Map<SubOptionSchema, string>()

  expand(directive: string, words: readonly string[]): string[] {
    const argument = words.join(' ')
    switch (directive) {
      case 'table':
        this.#refuseMissing()
        this.#options = optionsNamed(words).filter(({ hidden }) => !hidden)
        return []
      case 'option':
        if (!this.#options.some(({ name }) => name === argument)) {
          throw new Error(`the table has no option "${argument}", or it is on the page already`)
        }
        return this.#take(({ name }) => name === argument)
      case 'rest':
        return argument === '' ? this.#allGroups() : this.#take(({ group }) => group.startsWith(argument))
      case 'environment':
        return definitions(unique(interfacesNamed(words).flatMap((iface) => topics[iface].environment)))
      case 'exitcodes':
        return definitions(unique(interfacesNamed(words).flatMap((iface) => topics[iface].exitCodes)))
      case 'examples':
        return examples(interfacesNamed(words).flatMap((iface) => topics[iface].examples))
      case 'verb':
        return this.#verb(argument)
      case 'constants':
        return constants(argument)
      case 'rules':
        return ['.nf', ...effectHelp().trimEnd().split('\n').map(literal), '.fi']
      default:
        throw new Error(`unknown directive "@${directive}"`)
    }
  }

  /** What should be on this page and is not. */
  missing(): string[] {
    const verbs = this.#verbs.size === 0 ? [] : verbNames.filter((name) => !this.#verbs.has(name))
    return [...this.#options.map(({ words }) => words.at(-1)!), ...verbs]
  }

  #refuseMissing(): void {
    const missing = this.missing()
    if (missing.length > 0) throw new Error(`no line above says where to put ${missing.join(', ')}`)
  }

  #take(wanted: (option: DocumentedOption) => boolean): string[] {
    const taken = this.#options.filter(wanted)
    this.#options = this.#options.filter((option) => !taken.includes(option))
    return taken.flatMap((option) => {
      const sameAs = option.sub && this.#described.get(option.sub)
      if (option.sub && sameAs === undefined) this.#described.set(option.sub, option.name)
      return optionEntry(option, sameAs)
    })
  }

  #allGroups(): string[] {
    const groups = new Set(this.#options.map(({ group }) => group))
    return [...groups].flatMap((name) => [
      `.SS ${literal(name)}`,
      ...this.#take(({ group }) => group === name),
    ])
  }

  #verb(name: string): string[] {
    const verb = verbNames.find((each) => each === name)
    if (verb === undefined) throw new Error(`contract/verbs.ts has no verb "${name}"`)
    this.#verbs.add(verb)
    return verbEntry(verb)
  }
}

function optionsNamed([program = '', iface]: readonly string[]): DocumentedOption[] {
  if (program === 'swtpm') return swtpmOptions(iface === undefined ? undefined : interfacesNamed([iface])[0])
  const options =
    subcommands.get(program) ?? (Object.hasOwn(tools, program) ? tools[program as Tool] : undefined)
  if (options === undefined) throw new Error(`no program "${program}"`)
  return options
}

function interfacesNamed(words: readonly string[]): Interface[] {
  const unknown = words.find((word) => !INTERFACES.some((iface) => iface === word))
  if (unknown !== undefined) throw new Error(`no interface "${unknown}"`)
  return INTERFACES.filter((iface) => words.includes(iface))
}

/** The interfaces share most of their rows. */
function unique<T extends readonly [string, string]>(rows: readonly T[]): T[] {
  return rows.filter(([name], index) => rows.findIndex(([other]) => other === name) === index)
}
