import { groupName } from '../../system/group-name.ts'

/** The name of this process's group, for messages. */
export const currentGroupName = (): string => groupName(process.getgid?.()) ?? '<unknown>'
