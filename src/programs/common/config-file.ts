/**
 * The tools' configuration files: `name = value` lines, `#` starts a comment, `${NAME}` in a value is replaced by the
 * environment. The first line of a name counts.
 */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { reasonOf } from '../../system/reason.ts'
import { ToolFailure } from './tool-failure.ts'

export class ConfigFile {
  readonly path: string
  readonly #lines: readonly string[]
  readonly #environment: NodeJS.ProcessEnv

  constructor(path: string, text: string, environment: NodeJS.ProcessEnv = process.env) {
    this.path = path
    this.#lines = text.split('\n')
    this.#environment = environment
  }

  /** @throws ToolFailure */
  static read(path: string): ConfigFile {
    try {
      return new ConfigFile(path, readFileSync(path, 'utf8'))
    } catch (error) {
      throw new ToolFailure(`Cannot read config file "${path}": ${reasonOf(error)}`, { cause: error })
    }
  }

  /** The value of `name`, or undefined when no line sets it or its value is empty. */
  value(name: string): string | undefined {
    for (const line of this.#lines) {
      const [, found, raw = ''] = /^([\w:]+)\s*=\s*([^#]*)/.exec(line) ?? []
      if (found !== name) continue
      const value = expandEnvironment(raw.trimEnd(), this.#environment)
      return value === '' ? undefined : value
    }
    return undefined
  }

  /** @throws ToolFailure naming the missing entry */
  required(name: string): string {
    const value = this.value(name)
    if (value === undefined) {
      throw new ToolFailure(`Missing '${name}' in config file "${this.path}": add a line "${name} = …"`)
    }
    return value
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
}

/** Replaces each `${NAME}`; a name that is not set becomes nothing, an unclosed `${` stays. */
export function expandEnvironment(text: string, environment: NodeJS.ProcessEnv): string {
  return text.replace(/\$\{([^}]*)\}/g, (_, name: string) => environment[name] ?? '')
}

/** The user's configuration folder after the XDG rules. */
export function userConfigDir(environment: NodeJS.ProcessEnv = process.env): string {
  const xdg = environment.XDG_CONFIG_HOME
  return xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.config')
}

export const SYSTEM_CONFIG_DIR = '/etc'
