/** Where the figures were taken. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, tmpdir, totalmem } from 'node:os'
import type { Contestant } from './contestants.ts'

export type Environment = Readonly<Record<string, string>>

const firstLine = (program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): string => {
  try {
    const text = execFileSync(program, args, {
      encoding: 'utf8',
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    return text.trim().split('\n')[0] ?? ''
  } catch {
    return 'not known'
  }
}

export const fileSystemOf = (directory: string): string =>
  firstLine('findmnt', ['--noheadings', '--output', 'FSTYPE', '--target', directory])

export function environment(contestants: readonly Contestant[]): Environment {
  const versions = contestants.flatMap(({ name, program }): [string, string][] =>
    program === undefined || name.startsWith('ours')
      ? []
      : [[name, firstLine(program.path, ['--version'], program.env)]],
  )
  return {
    Processor: `${cpus()[0]?.model.trim() ?? 'not known'}, ${cpus().length} cores`,
    Memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    Kernel: release(),
    Node: process.version,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's, not ours
    libtpms: firstLine('dpkg-query', ['--show', '--showformat', '${Version}', 'libtpms0']),
    'File system of the state': fileSystemOf(tmpdir()),
    'Load when it began': readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' '),
    ...Object.fromEntries(versions),
  }
}
