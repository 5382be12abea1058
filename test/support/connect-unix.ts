/** Connects to a Unix socket and keeps the bare descriptor, to send descriptors over it. */
import { execFileSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { check } from '../../src/system/native/check.ts'
import { native } from '../../src/system/native/load.ts'

/**
 * Node has no way to connect and keep the descriptor, and neither has the addon, whose programs only accept. So a helper
 * connects and passes it here.
 */
export function connectUnix(path: string): number {
  const [ours, theirs] = check(native.socketPair(), 'make a socket pair')
  const script = `
import array, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
channel = socket.socket(fileno=0)
channel.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [connection.fileno()]))])
`
  execFileSync('python3', ['-c', script, path], { stdio: [theirs, 'inherit', 'inherit'] })
  closeSync(theirs)
  const fds: number[] = []
  check(native.receiveMessage(ours, Buffer.alloc(1), 0, 1, fds), 'receive the connection')
  closeSync(ours)
  check(native.setNonBlocking(fds[0] as number, true), 'use the connection')
  return fds[0] as number
}
