/** Looking at processes, through /proc. */
import { readdirSync, readFileSync } from 'node:fs'

/** The engine of a supervisor: its child process. */
export function enginePid(supervisor: number): number {
  const children = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8').trim().split(' ')
  for (const pid of children) {
    if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'tpm-engine') return Number(pid)
  }
  throw new Error(`process ${supervisor} has no engine`)
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
