/** The sockets of the command line: made here, or inherited as descriptors. */
import { SwtpmError } from '../../system/errors.ts'
import { listenOn } from '../../system/io/server-socket.ts'
import { check } from '../../system/native/check.ts'
import { native } from '../../system/native/load.ts'
import { groupId, userId } from '../../system/process/users.ts'
import { reasonOf } from '../../system/reason.ts'
import type { ServerEndpoint } from '../config.ts'

export interface OpenEndpoint {
  readonly fd: number
  /** Absolute, of the socket file, where it was made here. */
  readonly path?: string
  /** It is a connection, not a socket that listens for some. */
  readonly connected: boolean
  remove(): void
}

/** @throws SwtpmError SWTPM_ERR_SOCKET, SWTPM_ERR_USER for an unknown owner */
export function openEndpoint(endpoint: ServerEndpoint): OpenEndpoint {
  switch (endpoint.kind) {
    case 'unix': {
      const { path, mode, uid, gid } = endpoint
      return {
        connected: false,
        ...listenOn({ kind: 'unix', path, mode, uid: userId(uid), gid: groupId(gid) }),
      }
    }
    case 'tcp': {
      const { bindAddress, port, interfaceName } = endpoint
      return {
        connected: false,
        ...listenOn({ kind: 'tcp', bindAddress, port, interfaceName: interfaceName ?? '' }),
      }
    }
    case 'fd':
      return { fd: inherited(endpoint.fd), connected: endpoint.role === 'connection', remove() {} }
  }
}

/** A descriptor that was handed in; from now on it is ours alone. @throws SwtpmError SWTPM_ERR_SOCKET */
export function inherited(fd: number): number {
  try {
    check(native.setCloseOnExec(fd, true), `use descriptor ${fd}`)
    return fd
  } catch (error) {
    throw new SwtpmError('SWTPM_ERR_SOCKET', `Cannot use descriptor ${fd}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}
