/** Looking at processes, through /proc. */
import { readdirSync, readFileSync } from 'node:fs'
import { waitFor } from './wait.ts'

/** The engine of a supervisor: started by the spawner, which is its child. */
export function enginePid(supervisor: number): Promise<number> {
  return nextEngine(supervisor, 0)
}

/** The engine that has come after `before`. */
export function nextEngine(supervisor: number, before: number): Promise<number> {
  return waitFor(() => engineNow(supervisor, before), {
    what: `an engine after process ${before}`,
  }) as Promise<number>
}

/** The engine, other than `before`, that a supervisor has at this moment. */
export function engineNow(supervisor: number, before = 0): number | undefined {
  // The spawner has the same name, until it has given itself another.
  const engines = childrenOf(supervisor).flatMap(descendants)
  return engines.find((pid) => pid !== before && alive(pid) && nameOf(pid) === 'tpm-engine')
}

export function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** Children, and theirs. */
export function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)])
}

/** A zombie has ended: only its parent has not asked yet. */
export function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Whether any thread of the process is on a CPU or waits for one. */
export function atWork(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).some(
    (task) => readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8').split(') ')[1]?.[0] === 'R',
  )
}

/** Until the process has been at work for a while: not only about to read what it is to do. */
export async function deepInWork(pid: number): Promise<void> {
  let looks = 0
  await waitFor(
    () => {
      looks = atWork(pid) ? looks + 1 : 0
      return looks > 2
    },
    { what: `process ${pid} to work` },
  )
}

/** SIGUSR2 to a supervisor; resolves when there is another engine, and it alone. */
export async function replaceEngine(supervisor: number): Promise<void> {
  const engine = await enginePid(supervisor)
  process.kill(supervisor, 'SIGUSR2')
  await nextEngine(supervisor, engine)
  await waitFor(() => !alive(engine), { what: 'the old engine to end' })
}
