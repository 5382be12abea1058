/** Users, groups and the root directory: looking them up and changing to them. */
import { SwtpmError } from '../errors.ts'
import { check } from '../native/check.ts'
import { native } from '../native/load.ts'

/** A user or group: its number, or a name that is still to be looked up. */
export type Owner = { readonly id: number } | { readonly name: string }

export interface User {
  /** As it was given. */
  readonly name: string
  readonly uid: number
  readonly gid: number
  /** All groups, including the supplementary ones. */
  readonly groups: readonly number[]
}

/**
 * @param name a user name; or a number, which is then the group id as well
 * @throws SwtpmError SWTPM_ERR_USER
 */
export function lookUpUser(name: string): User {
  const found = native.userByName(name)
  if (typeof found === 'number') {
    throw new SwtpmError('SWTPM_ERR_USER', `User "${name}" does not exist`)
  }
  const [uid, gid, groups] = found
  return { name, uid, gid, groups }
}

/** Changes to `user` irreversibly. @throws SwtpmError SWTPM_ERR_PRIVILEGE */
export function becomeUser({ name, uid, gid, groups }: User): void {
  try {
    check(native.switchUser(uid, gid, groups), `change to user ${name}`)
  } catch (error) {
    throw new SwtpmError('SWTPM_ERR_PRIVILEGE', (error as Error).message, { cause: error })
  }
}

/** Makes `path` the root directory and the working directory. @throws SwtpmError SWTPM_ERR_PRIVILEGE */
export function changeRoot(path: string): void {
  try {
    check(native.chroot(path), `chroot to "${path}"`, path)
  } catch (error) {
    throw new SwtpmError('SWTPM_ERR_PRIVILEGE', (error as Error).message, { cause: error })
  }
}

/** -1 for none. @throws SwtpmError SWTPM_ERR_USER for an unknown name */
export function userId(owner: Owner | undefined): number {
  if (owner === undefined) return -1
  return 'id' in owner ? owner.id : lookUpUser(owner.name).uid
}

/** -1 for none. @throws SwtpmError SWTPM_ERR_USER for an unknown name */
export function groupId(owner: Owner | undefined): number {
  if (owner === undefined) return -1
  if ('id' in owner) return owner.id
  const gid = native.groupByName(owner.name)
  if (gid < 0) throw new SwtpmError('SWTPM_ERR_USER', `Group "${owner.name}" does not exist`)
  return gid
}
