/** Many commands to a running TPM, and whether its processes stay as they were. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { enginePid } from '../../support/processes.ts'
import { PYTHON } from '../../support/python.ts'
import { projectRoot } from '../../support/swtpm.ts'
import { waitFor } from '../../support/wait.ts'

const REPORTS = 40
/** In so many of them the processes warm up. The JavaScript heap of a supervisor breathes slowly: it has little to do. */
const WARM_UP = 16
const MAX_GROWTH_BYTES = 1 << 20

/** What a process holds. */
interface Holdings {
  readonly residentBytes: number
  readonly descriptors: number
}

export interface Soaked {
  readonly commands: number
  readonly seconds: number
  /** From the highest during the warm-up to the highest after it, in bytes; negative if it never was as high again. */
  readonly engineGrowth: number
  readonly supervisorGrowth: number
}

function holdings(pid: number): Holdings {
  const rss = /^Rss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))
  return { residentBytes: Number(rss?.[1]) * 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length }
}

/** Children of these processes that have ended, and have not been waited for. */
function zombies(parents: readonly number[]): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const text = readFileSync(`/proc/${pid}/status`, 'utf8')
        const parent = Number(/^PPid:\s+(\d+)/m.exec(text)?.[1])
        return parents.includes(parent) && /^State:\s+Z/m.test(text) ? [pid] : []
      } catch {
        return []
      }
    })
}

/**
 * Sends `commands` different commands and looks at engine and supervisor meanwhile.
 * @throws AssertionError when memory or descriptors grow, a process is left unburied, or an answer is wrong
 */
export async function soak(
  swtpmPid: number,
  kind: 'socket' | 'cuse' | 'device',
  path: string,
  commands: number,
): Promise<Soaked> {
  const processes = [await enginePid(swtpmPid), swtpmPid]
  const script = join(projectRoot, 'test/hard/support/soak-client.py')
  const client = spawn(PYTHON, [script, kind, path, String(commands), String(REPORTS)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(client, 'close')
  let said = ''
  client.stderr.on('data', (chunk) => {
    said += chunk
  })
  const start = performance.now()
  const samples: Holdings[][] = []
  for await (const _ of createInterface({ input: client.stdout })) {
    samples.push(processes.map(holdings))
    // Node that goes to rest is one for a moment.
    await waitFor(() => zombies(processes).length === 0, {
      what: 'processes that have ended to be waited for',
    })
  }
  const [status] = await exited
  assert.equal(status, 0, said)
  const seconds = (performance.now() - start) / 1000
  const growth = processes.map((_, i) => {
    // At the moment of a sample a file of the state may be open, or a client not yet there.
    const usual = (from: readonly Holdings[][]): number =>
      from.map((one) => one[i]?.descriptors ?? 0).sort((x, y) => x - y)[from.length >> 1] as number
    const descriptors = samples.map((sample) => sample[i]?.descriptors).join(' ')
    assert.ok(
      usual(samples.slice(-WARM_UP)) <= usual(samples.slice(0, WARM_UP)),
      `descriptors: ${descriptors}`,
    )
    const most = (from: readonly Holdings[][]): number =>
      Math.max(...from.map((one) => one[i]?.residentBytes ?? 0))
    return most(samples.slice(WARM_UP)) - most(samples.slice(0, WARM_UP))
  })
  for (const [i, who] of ['engine', 'supervisor'].entries()) {
    const kilobytes = samples.map((sample) => (sample[i] as Holdings).residentBytes >> 10)
    assert.ok(
      (growth[i] as number) <= MAX_GROWTH_BYTES,
      `resident memory of the ${who} in KiB: ${kilobytes.join(' ')}`,
    )
  }
  return {
    commands,
    seconds,
    engineGrowth: growth[0] as number,
    supervisorGrowth: growth[1] as number,
  }
}

/** For the table. */
export function describeSoak(results: readonly Soaked[]): string {
  const commands = results.reduce((sum, one) => sum + one.commands, 0)
  const most = (pick: (one: Soaked) => number): string =>
    `${Math.round(Math.max(...results.map(pick)) / 1024)} KiB`
  const seconds = Math.max(...results.map((one) => one.seconds))
  return (
    `${commands} commands to ${results.length} TPM(s) in ${Math.round(seconds)} s; resident memory after warm-up: ` +
    `engine ${most((one) => one.engineGrowth)}, supervisor ${most((one) => one.supervisorGrowth)} at most; ` +
    'descriptors unchanged, no zombies'
  )
}
