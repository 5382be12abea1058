/** --runas: this process, and all it starts, as another user. */
import { readFileSync } from 'node:fs'
import { reasonOf, ToolFailure } from './common/failure.ts'

/** A user by name, with the groups of that user, or a bare uid, which is then the gid too. */
export function becomeUser(user: string): void {
  try {
    if (/^\d+$/.test(user)) {
      const id = Number(user)
      if (id > 0xffffffff) throw new ToolFailure(`Error: uid ${user} outside valid range.`)
      process.setgid?.(id)
      process.setuid?.(id)
      return
    }
    const gid = primaryGroup(user)
    process.initgroups?.(user, gid)
    process.setgid?.(gid)
    process.setuid?.(user)
  } catch (error) {
    if (error instanceof ToolFailure) throw error
    throw new ToolFailure(`Error: cannot run as user '${user}': ${reasonOf(error)}`, { cause: error })
  }
}

function primaryGroup(user: string): number {
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === user)
  if (entry === undefined) throw new ToolFailure(`Error: User '${user}' does not exist.`)
  return Number(entry[3])
}
