/** From a program's exec to its first answer. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeLine } from '../../src/programs/swtpm/fleet/fleet-protocol.ts'
import type { Contestant, SwtpmProgram } from './contestants.ts'
import { BenchFleet } from './fleet.ts'
import { measuringProgram } from './programs.ts'
import { type Spread, spread } from './statistics.ts'

/** Without options and certificates that the user wants loaded into every Node. */
const NODE_AS_IT_COMES = { NODE_OPTIONS: undefined, NODE_EXTRA_CA_CERTS: undefined }

export interface StartUp {
  readonly contestant: string
  /** A TPM that is made at its start, or one that has a state already. */
  readonly state: 'empty' | 'existing' | 'none'
  readonly ns: Spread
}

/** One more TPM in a fleet that runs; the others are started as programs. */
export const ONE_MORE = 'ours, one more in a fleet'

/** In turn: `node -e 0` to its end, then each contestant without and with a state, then one more TPM in a fleet. */
export async function measureStartUp(contestants: readonly Contestant[], rounds: number): Promise<StartUp[]> {
  const directory = mkdtempSync(join(tmpdir(), 'swtpm-bench-'))
  const times = new Map<string, { contestant: string; state: StartUp['state']; ns: number[] }>()
  const add = (contestant: string, state: StartUp['state'], ns: number): void => {
    const key = `${contestant} ${state}`
    const entry = times.get(key) ?? { contestant, state, ns: [] }
    entry.ns.push(ns)
    times.set(key, entry)
  }
  const fleet = await BenchFleet.start()
  try {
    for (let round = 0; round < rounds; round++) {
      add('node -e 0', 'none', time(['--exit', process.execPath, '-e', '0'], {}))
      for (const { name, program } of contestants) {
        if (program === undefined) continue
        const state = mkdtempSync(join(directory, 'state-'))
        add(name, 'empty', startTpm(program, state))
        add(name, 'existing', startTpm(program, state))
      }
      const state = mkdtempSync(join(directory, 'state-'))
      add(ONE_MORE, 'empty', await oneMore(fleet, state))
      add(ONE_MORE, 'existing', await oneMore(fleet, state))
    }
  } finally {
    await fleet.stop()
    rmSync(directory, { recursive: true, force: true })
  }
  return [...times.values()].map(({ contestant, state, ns }) => ({ contestant, state, ns: spread(ns) }))
}

function startTpm({ path, env = {} }: SwtpmProgram, state: string): number {
  const behaviour = ['--flags', 'startup-clear', '--log', `file=${state}/log`]
  return time([path, 'socket', '--fd', '3', '--tpm2', '--tpmstate', `dir=${state}`, ...behaviour], env)
}

/** One that is added to a fleet, and removed again. */
async function oneMore(fleet: BenchFleet, state: string): Promise<number> {
  const { request, data } = fleet.requestFor(state)
  const ns = time(['--fleet', fleet.path, encodeLine(request).trim(), data], {})
  await fleet.remove(request.name)
  return ns
}

const time = (args: readonly string[], env: NodeJS.ProcessEnv): number =>
  Number(
    execFileSync(measuringProgram('bench-start'), args, {
      env: { ...process.env, ...NODE_AS_IT_COMES, ...env },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  )
