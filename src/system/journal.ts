/** Lines for journald: with their priority in front, `journalctl -p err` shows errors alone. @see sd-daemon(3), systemd.exec(5) "JOURNAL_STREAM" */
import { fstatSync } from 'node:fs'

/** As syslog numbers them. */
const PRIORITIES = { error: 3, warn: 4, info: 6, debug: 7 } as const

let journal: { readonly stream: string | undefined; readonly fds: Map<number, boolean> } | undefined

/**
 * What stands before a line.
 * @returns `<3>` where the descriptor leads to the journal, nothing elsewhere
 */
export function journalPriority(fd: number, severity: keyof typeof PRIORITIES): string {
  journal ??= { stream: process.env.JOURNAL_STREAM, fds: new Map() }
  if (journal.stream === undefined) return ''
  let leads = journal.fds.get(fd)
  if (leads === undefined) {
    leads = idOf(fd) === journal.stream
    journal.fds.set(fd, leads)
  }
  return leads ? `<${PRIORITIES[severity]}>` : ''
}

/** Device and inode, as the variable has them: a program whose output was led elsewhere still inherits that. */
function idOf(fd: number): string | undefined {
  try {
    const { dev, ino } = fstatSync(fd)
    return `${dev}:${ino}`
  } catch {
    return undefined
  }
}
