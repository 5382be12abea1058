/**
 * The tools' configuration files: `name = value` lines, `#` starts a comment, `${NAME}` in a value is replaced by the
 * environment. The first line of a name counts.
 */
import { readFileSync } from 'node:fs'
import { didYouMean } from '../../system/did-you-mean.ts'
import { reasonOf } from '../../system/reason.ts'
import { ToolFailure } from './tool-failure.ts'

/** What a message tells a user who has no configuration that they can use. */
export function writeOwnConfig(): string {
  const root = process.geteuid?.() === 0 ? ',root' : ''
  return `\`swtpm_setup --create-config-files skip-if-exist${root}\` writes one of your own`
}

/**
 * Who chose a file: the command line; the user, by having it in their configuration folder; the system, by having it in /etc;
 * or nothing, where there is none.
 */
export type ConfigOrigin = 'given' | 'user' | 'system' | 'none'

interface Setting {
  readonly line: number
  readonly name: string
  readonly raw: string
  /** Nothing in it is replaced. */
  readonly literal?: true
}

export class ConfigFile {
  readonly path: string
  readonly origin: ConfigOrigin
  readonly #lines: readonly string[]
  #settings: readonly Setting[]
  readonly #environment: NodeJS.ProcessEnv

  constructor(
    path: string,
    text: string,
    environment: NodeJS.ProcessEnv = process.env,
    origin: ConfigOrigin = 'given',
  ) {
    this.path = path
    this.origin = origin
    this.#lines = linesOf(text)
    this.#settings = this.#lines.flatMap((content, index) => {
      const [, name, raw = ''] = /^([\w:]+)\s*=\s*([^#]*)/.exec(content) ?? []
      return name === undefined ? [] : [{ line: index + 1, name, raw: raw.trimEnd() }]
    })
    this.#environment = environment
  }

  /** @throws ToolFailure */
  static read(path: string, origin: ConfigOrigin = 'given'): ConfigFile {
    return new ConfigFile(path, readConfigText(path, 'config file'), process.env, origin)
  }

  /** What applies where there is no file. @param path for messages */
  static builtIn(path: string, values: Readonly<Record<string, string>>): ConfigFile {
    const config = new ConfigFile(path, '', {}, 'none')
    config.#settings = Object.entries(values).map(([name, raw]) => ({ line: 0, name, raw, literal: true }))
    return config
  }

  /**
   * The value of `name`, or undefined when no line sets it or its value is empty.
   * @throws ToolFailure when it needs an environment variable that is not there
   */
  value(name: string): string | undefined {
    const setting = this.#setting(name)
    if (setting === undefined || setting.raw === '') return undefined
    if (setting.literal) return setting.raw
    return expandEnvironment(setting.raw, this.#environment, `"${this.path}", line ${setting.line}`)
  }

  /** @throws ToolFailure naming the missing entry */
  required(name: string): string {
    const value = this.value(name)
    if (value !== undefined) return value
    const setting = this.#setting(name)
    const unknown = this.#settings.find((other) => didYouMean(other.name, [name]) !== undefined)
    const reason =
      setting !== undefined
        ? `line ${setting.line} sets '${name}' to nothing`
        : unknown !== undefined && unknown.name !== name
          ? `'${name}' is missing; line ${unknown.line} sets '${unknown.name}'`
          : `'${name}' is missing`
    throw new ToolFailure(`Cannot use config file "${this.path}": ${reason}; add a line "${name} = …"`)
  }

  /** The `env:NAME = value` lines, which the user wants in the environment of the signing key's PKCS #11 module. */
  environmentEntries(): Record<string, string> {
    const entries: Record<string, string> = {}
    for (const line of this.#lines) {
      const [, name, value = ''] = /^env:([A-Za-z_]\w*)\s*=\s*(.*)$/.exec(line) ?? []
      if (name !== undefined) entries[name] = value
    }
    return entries
  }

  /**
   * What is ignored of the file, as sentences for its user.
   * @param known the names of all settings
   */
  ignored(known: readonly string[]): string[] {
    const first = new Map<string, number>()
    return this.#lines.flatMap((content, index) => {
      const line = index + 1
      if (/^\s*(#|$)/.test(content) || /^env:[A-Za-z_]\w*\s*=/.test(content)) return []
      const setting = this.#settings.find((one) => one.line === line)
      const reason =
        setting === undefined
          ? 'it is not of the form "name = value"'
          : known.includes(setting.name)
            ? first.has(setting.name) && `line ${first.get(setting.name)} sets '${setting.name}' already`
            : unknownName(setting.name, known)
      if (setting !== undefined && !first.has(setting.name)) first.set(setting.name, line)
      return reason ? [`Ignoring line ${line} of "${this.path}": ${reason}`] : []
    })
  }

  #setting(name: string): Setting | undefined {
    return this.#settings.find((setting) => setting.name === name)
  }
}

function unknownName(name: string, known: readonly string[]): string {
  const meant = didYouMean(name, known)
  return `there is no setting '${name}'${meant === undefined ? '' : `; did you mean '${meant}'?`}`
}

/** The lines of a text file, whichever system it was written on. */
export const linesOf = (text: string): string[] => text.replace(/^\uFEFF/, '').split(/\r?\n/)

/** @param what the file is, for messages @throws ToolFailure */
export function readConfigText(path: string, what: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ToolFailure(`Cannot read ${what} "${path}": ${reasonOf(error)}; ${writeOwnConfig()}`, {
      cause: error,
    })
  }
  // UTF-16, for one. A path with such a character reaches no system call.
  if (text.includes('\0')) {
    throw new ToolFailure(`Cannot use ${what} "${path}": it is no text in UTF-8; ${writeOwnConfig()}`)
  }
  return text
}

/**
 * Replaces each `${NAME}`.
 * @param place file and line, for messages
 * @throws ToolFailure for a variable that is not set or empty: what was meant to be below a folder would be below `/`
 */
export function expandEnvironment(text: string, environment: NodeJS.ProcessEnv, place: string): string {
  return text.replace(/\$\{([^}]*)(\}?)/g, (_, name: string, end: string) => {
    if (end === '') throw new ToolFailure(`Cannot use ${place}: "\${${name}" has no closing "}"`)
    const value = environment[name]
    if (value === undefined || value === '') {
      const state = value === undefined ? 'is not set' : 'is empty'
      throw new ToolFailure(
        `Cannot use ${place}: the environment variable "${name}" ${state}; set it, or write the value in its place`,
      )
    }
    return value
  })
}
