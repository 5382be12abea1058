/** From a program's exec to its first answer. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Contestant, SwtpmProgram } from './contestants.ts'
import { nativeProgram } from './programs.ts'
import { type Spread, spread } from './statistics.ts'

/** Without options and certificates that the user wants loaded into every Node. */
const NODE_AS_IT_COMES = { NODE_OPTIONS: undefined, NODE_EXTRA_CA_CERTS: undefined }

export interface StartUp {
  readonly contestant: string
  /** A TPM that is made at its start, or one that has a state already. */
  readonly state: 'empty' | 'existing' | 'none'
  readonly ns: Spread
}

/** In turn: `node -e 0` to its end, then each contestant without and with a state. */
export function measureStartUp(contestants: readonly Contestant[], rounds: number): StartUp[] {
  const directory = mkdtempSync(join(tmpdir(), 'swtpm-bench-'))
  const times = new Map<string, { contestant: string; state: StartUp['state']; ns: number[] }>()
  const add = (contestant: string, state: StartUp['state'], ns: number): void => {
    const key = `${contestant} ${state}`
    const entry = times.get(key) ?? { contestant, state, ns: [] }
    entry.ns.push(ns)
    times.set(key, entry)
  }
  try {
    for (let round = 0; round < rounds; round++) {
      add('node -e 0', 'none', time(['--exit', process.execPath, '-e', '0'], {}))
      for (const { name, program } of contestants) {
        if (program === undefined) continue
        const state = mkdtempSync(join(directory, 'state-'))
        add(name, 'empty', startTpm(program, state))
        add(name, 'existing', startTpm(program, state))
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  return [...times.values()].map(({ contestant, state, ns }) => ({ contestant, state, ns: spread(ns) }))
}

function startTpm({ path, env = {} }: SwtpmProgram, state: string): number {
  const behaviour = ['--flags', 'startup-clear', '--log', `file=${state}/log`]
  return time([path, 'socket', '--fd', '3', '--tpm2', '--tpmstate', `dir=${state}`, ...behaviour], env)
}

const time = (args: readonly string[], env: NodeJS.ProcessEnv): number =>
  Number(
    execFileSync(nativeProgram('bench-start'), args, {
      env: { ...process.env, ...NODE_AS_IT_COMES, ...env },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  )
