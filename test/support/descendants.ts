/** The processes that others have started, as /proc has them. */
import { readdirSync, readFileSync } from 'node:fs'

const processes = (): string[] => readdirSync('/proc').filter((name) => /^\d+$/.test(name))

/** Undefined for a process that has ended. */
function parentOf(pid: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1])
  } catch {
    return undefined
  }
}

/** Those that this process, or another, has started and that have not ended. */
export const childrenOf = (pid = process.pid): number[] =>
  processes()
    .filter((name) => parentOf(name) === pid)
    .map(Number)

/** Those, what they have started, and so on. */
export const descendantsOf = (pid: number): number[] =>
  childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)])
