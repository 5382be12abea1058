/** `swtpm doctor` as a user runs it. */
import { spawnSync } from 'node:child_process'
import { bin } from './swtpm.ts'

export interface DiagnosedUse {
  readonly use: string
  readonly works: boolean
  readonly checks: readonly {
    readonly id: string
    readonly level: string
    readonly text: string
    readonly mend?: string
  }[]
}

export function runDoctor(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  user: { readonly uid: number; readonly gid: number } | undefined = undefined,
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr } = spawnSync(bin('swtpm'), ['doctor', ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    ...user,
  })
  return { status, stdout, stderr }
}

/** @param use one; undefined: all */
export const diagnosed = (use?: string, env: NodeJS.ProcessEnv = {}): DiagnosedUse[] =>
  JSON.parse(runDoctor([...(use === undefined ? [] : [use]), '--json'], env).stdout).uses
