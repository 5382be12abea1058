/** Whether a process listens on a Unix socket: its file is there a moment before. */
import { existsSync, readFileSync, realpathSync } from 'node:fs'

/** __SO_ACCEPTCON in the fourth column of /proc/net/unix. */
const ACCEPTS_CONNECTIONS = '00010000'

/** Does not connect: a probing connection would be the one client that a TPM serves at a time. */
export function isListening(path: string): boolean {
  if (!existsSync(path)) return false
  const names = new Set([path, realpathSync(path)])
  return readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .some((line) => {
      const [, , , flags, , , , name] = line.split(/\s+/)
      return flags === ACCEPTS_CONNECTIONS && name !== undefined && names.has(name)
    })
}
