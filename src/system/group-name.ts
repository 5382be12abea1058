import { readFileSync } from 'node:fs'

/** The name of a group in /etc/group, for messages; undefined where it has none there. */
export function groupName(gid: number | undefined): string | undefined {
  try {
    const lines = readFileSync('/etc/group', 'utf8').split('\n')
    return lines.map((line) => line.split(':')).find(([, , id]) => id === String(gid))?.[0]
  } catch {
    return undefined
  }
}
