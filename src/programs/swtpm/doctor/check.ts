/** What `swtpm doctor` finds out: one sentence for each thing, and the line that mends it. */
import { existsSync, readFileSync } from 'node:fs'
import type { Remedy } from '../../../system/missing-things.ts'

/** `missing`: it cannot work so. `warning`: it works, or may work, with something that the user should know. */
export type Level = 'ok' | 'warning' | 'missing'

export interface Check {
  /** For scripts: `kernel-module`, `libtpms`. */
  readonly id: string
  readonly level: Level
  readonly text: string
  /** A line for a shell, or, where none can be given, what to do. */
  readonly mend?: string
}

export const ok = (id: string, text: string): Check => ({ id, level: 'ok', text })

export const warning = (id: string, text: string, mend?: Remedy | string): Check =>
  problem('warning', id, text, mend)

export const missing = (id: string, text: string, mend?: Remedy | string): Check =>
  problem('missing', id, text, mend)

function problem(level: Level, id: string, text: string, mend: Remedy | string | undefined): Check {
  if (mend === undefined) return { id, level, text }
  return { id, level, text, mend: typeof mend === 'string' ? mend : lineOf(mend) }
}

/** As this user types it. */
const lineOf = ({ command, asRoot }: Remedy): string => (asRoot && !isRoot() ? `sudo ${command}` : command)

export const isRoot = (): boolean => process.geteuid?.() === 0

/** Undefined where there is no such file, or this user may not read it. */
export function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** The first of these files that is there. */
export const firstOf = (...paths: readonly string[]): string | undefined =>
  paths.find((path) => existsSync(path))

/** The program of that name in a PATH; undefined: in none of its folders. */
export const programIn = (path: string, name: string): string | undefined =>
  firstOf(
    ...path
      .split(':')
      .filter((folder) => folder.startsWith('/'))
      .map((folder) => `${folder.replace(/\/+$/, '')}/${name}`),
  )
