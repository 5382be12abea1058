/** --runas: this process, and all it starts, as another user. */
import { spawnSync } from 'node:child_process'
import { reasonOf } from '../../system/reason.ts'
import { ToolFailure } from '../common/tool-failure.ts'

/** Node has it; its type declarations do not. */
interface InitGroups {
  initgroups(user: string, extraGroup: number): void
}

/**
 * A user by name, with the groups of that user, or a bare uid, which is then the gid too.
 * @throws ToolFailure
 */
export function becomeUser(user: string): void {
  const isNumber = /^\d+$/.test(user)
  if (isNumber && Number(user) > 0xffffffff)
    throw new ToolFailure(`Cannot run as user "${user}": a uid is at most 4294967295`)
  const gid = isNumber ? Number(user) : primaryGroup(user)
  try {
    if (!isNumber) (process as unknown as InitGroups).initgroups(user, gid)
    process.setgid?.(gid)
    process.setuid?.(isNumber ? Number(user) : user)
  } catch (error) {
    throw new ToolFailure(`Cannot run as user "${user}": ${reasonOf(error)}`, { cause: error })
  }
}

/** id(1) asks every user database that is configured, not only /etc/passwd. */
function primaryGroup(user: string): number {
  const { status, stdout } = spawnSync('id', ['-g', '--', user], { encoding: 'utf8' })
  if (status !== 0) throw new ToolFailure(`Cannot run as user "${user}": there is no such user`)
  return Number(stdout.trim())
}
