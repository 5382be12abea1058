/** What users can do who may not use the device or socket of a TPM, for the end of a message. */
import { constants, type Stats, statSync } from 'node:fs'
import { groupName } from '../system/group-name.ts'
import { accountName } from '../system/surroundings.ts'

export function accessHint(path: string): string {
  const found = look(path)
  // A folder above it is closed, so what it is cannot be told.
  if (found === undefined) return 'run it with `sudo`'
  if (found.isSocket())
    return 'run it with `sudo`, or start swtpm with mode=0660,gid=GROUP for this socket, where GROUP is one of your groups'
  const group = groupThatMay(found)
  const user = accountName() ?? 'USER'
  return group === undefined
    ? 'run it with `sudo`'
    : `run it with \`sudo\`, or join the group: \`sudo usermod -aG ${group} ${user}\`, and log in again`
}

/** The group that may read and write, where there is one beside root's. */
function groupThatMay({ mode, gid }: Stats): string | undefined {
  const rights = constants.S_IRGRP | constants.S_IWGRP
  return (mode & rights) === rights && gid !== 0 ? groupName(gid) : undefined
}

function look(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}
