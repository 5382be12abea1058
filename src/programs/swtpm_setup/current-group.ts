import { readFileSync } from 'node:fs'

/** The name of this process's group, for messages. */
export function currentGroupName(): string {
  const gid = String(process.getgid?.())
  try {
    const groups = readFileSync('/etc/group', 'utf8').split('\n')
    return groups.map((line) => line.split(':')).find(([, , id]) => id === gid)?.[0] ?? '<unknown>'
  } catch {
    return '<unknown>'
  }
}
