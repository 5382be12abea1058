/** Opens the listening sockets that the command line asks for. */
import { existsSync, lstatSync } from 'node:fs'
import { dirname } from 'node:path'
import { SwtpmError } from '../errors.ts'
import { REMEDIES } from '../missing-things.ts'
import { check, SystemError } from '../native/check.ts'
import { native } from '../native/load.ts'
import { reasonOf } from '../reason.ts'
import { absolutePath } from '../surroundings.ts'
import { noteSocketFile, removeSocketFile, removeStaleSocketFile } from './socket-files.ts'

export interface UnixAddress {
  readonly kind: 'unix'
  readonly path: string
  /** Permission bits of the socket file. */
  readonly mode: number
  /** Owner of the socket file; -1: unchanged. */
  readonly uid: number
  readonly gid: number
}

export interface TcpAddress {
  readonly kind: 'tcp'
  readonly bindAddress: string
  readonly port: number
  /** Scope of an IPv6 link-local address, or ''. */
  readonly interfaceName: string
}

export interface ServerSocket {
  readonly fd: number
  /** Absolute, of the socket file, where there is one. */
  readonly path?: string
  /** Removes the socket file, where there is one. */
  remove(): void
}

const BACKLOG = 16

/** @throws SwtpmError SWTPM_ERR_SOCKET */
export function listenOn(address: UnixAddress | TcpAddress): ServerSocket {
  try {
    return address.kind === 'unix' ? listenOnPath(address) : listenOnPort(address)
  } catch (error) {
    if (error instanceof SwtpmError) throw error
    const where = address.kind === 'unix' ? `"${address.path}"` : `port ${address.port}`
    const said =
      error instanceof SystemError ? error.message : `Cannot listen on ${where}: ${reasonOf(error)}`
    throw new SwtpmError('SWTPM_ERR_SOCKET', `${said}${missingFolder(address)}`, { cause: error })
  }
}

/** What to do where it is the folder of the socket that is not there. */
function missingFolder(address: UnixAddress | TcpAddress): string {
  if (address.kind !== 'unix') return ''
  const folder = dirname(address.path)
  return existsSync(folder) ? '' : `; make its folder with \`${REMEDIES.directory(folder).command}\``
}

/** Whether a file or directory is in the way. */
const isNoSocket = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false

function listenOnPath({ path, mode, uid, gid }: UnixAddress): ServerSocket {
  if (!removeStaleSocketFile(path)) {
    throw new SwtpmError(
      'SWTPM_ERR_SOCKET',
      `Cannot listen on "${path}": this swtpm listens there already; give each socket a path of its own`,
    )
  }
  if (isNoSocket(path)) {
    throw new SwtpmError(
      'SWTPM_ERR_SOCKET',
      `Cannot listen on "${path}": there is something else of that name; remove it, or give the socket another path`,
    )
  }
  const fd = check(native.listenUnix(path, mode, BACKLOG, uid, gid), `listen on "${path}"`, path)
  const absolute = absolutePath(path)
  noteSocketFile(absolute)
  return {
    fd,
    path: absolute,
    remove: () => removeSocketFile(absolute),
  }
}

function listenOnPort({ bindAddress, port, interfaceName }: TcpAddress): ServerSocket {
  const fd = check(
    native.listenTcp(bindAddress, port, interfaceName, BACKLOG),
    `listen on ${bindAddress}${interfaceName === '' ? '' : `%${interfaceName}`} port ${port}`,
  )
  return { fd, remove() {} }
}
