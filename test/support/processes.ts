/** Looking at processes, through /proc. */
import { readdirSync, readFileSync } from 'node:fs'
import { waitFor } from './wait.ts'

/** The engine of a supervisor: started by the spawner, which is its child. */
export function enginePid(supervisor: number): Promise<number> {
  return nextEngine(supervisor, 0)
}

/** The engine that has come after `before`. */
export function nextEngine(supervisor: number, before: number): Promise<number> {
  return waitFor(
    () => descendants(supervisor).find((pid) => pid !== before && alive(pid) && nameOf(pid) === 'tpm-engine'),
    { what: `an engine after process ${before}` },
  ) as Promise<number>
}

export function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return ''
  }
}

/** Children, and theirs. */
export function descendants(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter(Boolean)
      .map(Number)
    return children.flatMap((child) => [child, ...descendants(child)])
  } catch {
    return []
  }
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
