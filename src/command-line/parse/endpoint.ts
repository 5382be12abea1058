/** `--server`, `--port`, `--fd` and `--ctrl`: the sockets that swtpm serves. */

import type { Given } from '../../programs/common/options/given-options.ts'
import { type SubOptionValues, withDefaults } from '../../programs/common/options/sub-option.ts'
import type { ControlEndpoint, DataEndpoint, TcpEndpoint, UnixEndpoint } from '../../serve/config.ts'
import { CommandLineError } from '../exit/command-line-error.ts'
import { ctrlSchema, scriptSocketSchema, serverSchema } from '../options/sub-options.ts'
import { cNumberOf, descriptorOf, subOptionsOf } from './given.ts'
import { parseSubOptions, readUnsigned, subOptionError } from './sub-options.ts'

const PORT_MAX = 0xffff
/** Longest path of a Unix socket: `sun_path` less its terminating zero. */
const SUN_PATH_MAX = 107

/** Of a port for which no other is named. */
const DEFAULT_ADDRESS = withDefaults(serverSchema, undefined).bindaddr

type ServerValues = SubOptionValues<typeof serverSchema>
type TcpValues = Pick<ServerValues, 'bindaddr' | 'ifname'>
type UnixValues = Pick<ServerValues, 'mode' | 'uid' | 'gid'>
type Option = 'server' | 'ctrl' | 'script-socket'

/** @throws CommandLineError for a path that is too long */
export function unixEndpoint(option: Option, path: string, values: UnixValues): UnixEndpoint {
  if (Buffer.byteLength(path) > SUN_PATH_MAX) {
    throw subOptionError(
      option,
      `path "${path}" is longer than the ${SUN_PATH_MAX} bytes of a Unix socket's path`,
    )
  }
  return { kind: 'unix', path, mode: values.mode, uid: values.uid, gid: values.gid }
}

function isAddress(text: string): boolean {
  if (text === DEFAULT_ADDRESS) return true
  // Loaded only where it is needed: it brings streams, and takes longer than everything else here.
  const { isIP }: typeof import('node:net') = require('node:net')
  return isIP(text) !== 0 && !text.includes('%')
}

function tcpEndpoint(option: Option, port: number, values: TcpValues): TcpEndpoint {
  const bindAddress = values.bindaddr
  if (!isAddress(bindAddress)) {
    throw subOptionError(option, `bindaddr "${bindAddress}" is not an IPv4 or IPv6 address`)
  }
  const linkLocal = /^fe[89ab][0-9a-f]:/i.test(bindAddress)
  if (linkLocal && values.ifname === undefined) {
    throw subOptionError(
      option,
      `bindaddr "${bindAddress}" is link-local and needs the interface's name: ifname=NAME`,
    )
  }
  // As in the reference, other addresses do without the interface, whatever it is called.
  return { kind: 'tcp', port, bindAddress, interfaceName: linkLocal ? values.ifname : undefined }
}

/** The port in TPM_PORT. */
function environmentPort(env: NodeJS.ProcessEnv): number | undefined {
  const text = env.TPM_PORT
  if (text === undefined || text === '') return undefined
  const port = readUnsigned(text, 10, PORT_MAX)
  if (port === undefined) {
    throw new CommandLineError('general', `TPM_PORT "${text}" is not a port number from 0 to ${PORT_MAX}`)
  }
  return port
}

/** `--server`. @param port asked when the port sub-option is missing */
function dataServer(values: ServerValues, port: () => number | undefined): DataEndpoint {
  const disconnect = values.disconnect
  if (values.type === 'unixio') {
    if (values.fd !== undefined) return { kind: 'fd', fd: values.fd, role: 'listener', disconnect }
    if (values.path === undefined) {
      throw subOptionError('server', 'type=unixio needs path=PATH or fd=FD')
    }
    return { ...unixEndpoint('server', values.path, values), disconnect }
  }
  if (values.fd !== undefined) return { kind: 'fd', fd: values.fd, role: 'connection', disconnect }
  const chosen = values.port ?? port()
  if (chosen === undefined) {
    throw subOptionError('server', 'type=tcp needs port=PORT or fd=FD, and TPM_PORT is not set')
  }
  return { ...tcpEndpoint('server', chosen, values), disconnect }
}

/** One connection a command, as clients of `--port` and TPM_PORT expect it. */
const legacyServer = (port: number): DataEndpoint => ({
  ...tcpEndpoint('server', port, withDefaults(serverSchema, undefined)),
  disconnect: true,
})

/**
 * Where TPM commands come from on the socket interface.
 *
 * `--server` wins over `--port` and `--fd`; a missing port comes from `--port`, then from TPM_PORT. TPM_PORT alone opens a
 * port only when there is no control channel: with one the connection is handed in (SET_DATAFD), and a server that holds
 * the data channel would make that fail.
 */
export function dataServerOf(
  given: Given<'port' | 'fd' | 'server' | 'ctrl'>,
  env: NodeJS.ProcessEnv,
): DataEndpoint | undefined {
  const port = cNumberOf(given, 'port', PORT_MAX)
  const fd = fdOf(given)
  const values = subOptionsOf(given, 'server', serverSchema)
  if (values !== undefined) return dataServer(values, () => port ?? environmentPort(env))
  if (port !== undefined) return legacyServer(port)
  if (fd !== undefined) return { kind: 'fd', fd, role: 'connection', disconnect: false }
  const fromEnvironment = given.has('ctrl') ? undefined : environmentPort(env)
  return fromEnvironment === undefined ? undefined : legacyServer(fromEnvironment)
}

/** `--fd`; standard input, output and error are not taken. */
export const fdOf = (given: Given<'fd'>): number | undefined => descriptorOf(given, 'fd')

/** `--ctrl`. */
export function controlOf(given: Given<'ctrl'>): ControlEndpoint | undefined {
  const values = subOptionsOf(given, 'ctrl', ctrlSchema)
  if (values === undefined) return undefined
  const terminate = values.terminate
  if (values.type === undefined) throw subOptionError('ctrl', 'type=unixio or type=tcp is required')
  if (values.clientfd !== undefined) {
    if (values.type !== 'unixio') throw subOptionError('ctrl', 'clientfd is for type=unixio only')
    if (values.fd !== undefined) throw subOptionError('ctrl', 'give either fd or clientfd, not both')
    return { kind: 'fd', fd: values.clientfd, role: 'connection', terminate }
  }
  if (values.fd !== undefined) return { kind: 'fd', fd: values.fd, role: 'listener', terminate }
  if (values.type === 'unixio') {
    if (values.path === undefined)
      throw subOptionError('ctrl', 'type=unixio needs path=PATH, fd=FD or clientfd=FD')
    return { ...unixEndpoint('ctrl', values.path, values), terminate }
  }
  if (values.port === undefined) throw subOptionError('ctrl', 'type=tcp needs port=PORT or fd=FD')
  return { ...tcpEndpoint('ctrl', values.port, values), terminate }
}

/** `--script-socket`. */
export function scriptSocketOf(given: Given<'script-socket'>): UnixEndpoint | undefined {
  const text = given.text('script-socket')
  if (text === undefined) return undefined
  // A path alone: the way in which other programs name it.
  const [first = ''] = text.split(',')
  const isPath = !Object.keys(scriptSocketSchema).some((name) => first.startsWith(`${name}=`))
  const named = isPath ? `path=${text}` : text
  const values = withDefaults(scriptSocketSchema, parseSubOptions('script-socket', named, scriptSocketSchema))
  if (values.path === undefined) throw subOptionError('script-socket', 'path=PATH is missing')
  return unixEndpoint('script-socket', values.path, values)
}
