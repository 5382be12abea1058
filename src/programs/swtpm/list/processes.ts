/** The processes that run, as /proc tells everybody. What they say of themselves may be another user's: no word of it is trusted. */
import { readdirSync, readFileSync } from 'node:fs'

export interface Process {
  readonly pid: number
  readonly parent: number
  readonly uid: number
  /** The kernel's name for it: 15 bytes of its program's name, or what it has chosen. */
  readonly name: string
  /** Its command line. */
  readonly words: readonly string[]
}

/** @see proc_pid_status(5), proc_pid_cmdline(5) */
export function runningProcesses(): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => processOf(Number(name)) ?? [])
}

/** Undefined: it has ended. */
function processOf(pid: number): Process | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const [, parent = '0'] = /^PPid:\s*(\d+)$/m.exec(status) ?? []
    const [, uid = '-1'] = /^Uid:\s*\d+\s+(\d+)/m.exec(status) ?? []
    const name = readFileSync(`/proc/${pid}/comm`, 'utf8').replace(/\n$/, '')
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    // The last one ends with a NUL, too.
    if (words[words.length - 1] === '') words.pop()
    return { pid, parent: Number(parent), uid: Number(uid), name, words }
  } catch {
    return undefined
  }
}
