/** What processes have used so far, and what they use for a piece of work. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from '../support/wait.ts'

export interface Cost {
  readonly cpuNs: number
  /** Context switches that a thread asked for by waiting, and those that took the processor from it. */
  readonly voluntarySwitches: number
  readonly involuntarySwitches: number
}

const NOTHING: Cost = { cpuNs: 0, voluntarySwitches: 0, involuntarySwitches: 0 }

const plus = (a: Cost, b: Cost, sign: 1 | -1 = 1): Cost => ({
  cpuNs: a.cpuNs + sign * b.cpuNs,
  voluntarySwitches: a.voluntarySwitches + sign * b.voluntarySwitches,
  involuntarySwitches: a.involuntarySwitches + sign * b.involuntarySwitches,
})

/** The process and all that it has started; those that have just ended may be among them. */
export function family(pid: number): number[] {
  const tasks = `/proc/${pid}/task`
  const children = entriesIfThere(tasks).flatMap((task) =>
    readIfThere(`/proc/${pid}/task/${task}/children`).trim().split(' ').filter(Boolean),
  )
  return [pid, ...children.flatMap((child) => family(Number(child)))]
}

function entriesIfThere(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** By all threads that live now. @see proc(5), Documentation/scheduler/sched-stats.rst */
function used(pids: readonly number[]): Cost {
  return pids
    .flatMap((pid) => readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}`))
    .map((thread): Cost => {
      const status = readFileSync(`${thread}/status`, 'utf8')
      const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
      return {
        cpuNs: Number(readFileSync(`${thread}/schedstat`, 'utf8').split(' ')[0]),
        voluntarySwitches: field('voluntary_ctxt_switches'),
        involuntarySwitches: field('nonvoluntary_ctxt_switches'),
      }
    })
    .reduce((a, b) => plus(a, b), NOTHING)
}

/** What these processes use while `work` is done. */
export async function costOf<T>(
  pids: readonly number[],
  work: () => Promise<T>,
): Promise<{ result: T; cost: Cost }> {
  const before = used(pids)
  const result = await work()
  return { result, cost: plus(used(pids), before, -1) }
}

export const sumOf = (costs: readonly Cost[]): Cost => costs.reduce((a, b) => plus(a, b), NOTHING)

/** How often these processes make each system call while `work` is done, counted by strace(1). */
export async function systemCallsOf(
  pids: readonly number[],
  work: () => Promise<unknown>,
): Promise<ReadonlyMap<string, number>> {
  const directory = mkdtempSync(join(tmpdir(), 'swtpm-bench-'))
  try {
    const output = join(directory, 'calls')
    const strace = spawn(
      'strace',
      ['-f', '-c', '-o', output, ...pids.flatMap((pid) => ['-p', String(pid)])],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    )
    const ended = once(strace, 'exit')
    let said = ''
    strace.stderr.on('data', (chunk) => {
      said += chunk
    })
    await waitFor(() => pids.every((pid) => said.includes(`Process ${pid} attached`)), {
      what: `strace to attach: ${said}`,
    })
    await work()
    strace.kill('SIGINT')
    await ended
    return new Map(
      readFileSync(output, 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter((columns) => /^\d+\.\d+$/.test(columns[0] ?? '') && columns.at(-1) !== 'total')
        .map((columns) => [columns.at(-1) as string, Number(columns[3])]),
    )
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

export interface Memory {
  /** Bytes: resident; a shared page's part; in no other process. */
  readonly resident: number
  readonly proportional: number
  readonly private: number
}

/** @see Documentation/filesystems/proc.rst, smaps_rollup */
export function memoryOf(pids: readonly number[]): Memory {
  const sum = { resident: 0, proportional: 0, private: 0 }
  for (const pid of pids) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    const bytes = (name: string): number =>
      1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0)
    sum.resident += bytes('Rss')
    sum.proportional += bytes('Pss')
    sum.private += bytes('Private_Clean') + bytes('Private_Dirty')
  }
  return sum
}

/** Threads end while they are looked at. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return ''
    throw error
  }
}
