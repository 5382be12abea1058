/** Connects to a Unix socket and keeps the bare descriptor, to send descriptors over it. */
import { closeSync } from 'node:fs'
import { connect } from 'node:net'
import { check } from '../../src/system/native/check.ts'
import { native } from '../../src/system/native/load.ts'

/**
 * Node does not give a connection's descriptor away. But libuv has it connected when connect() returns, and a copy of it is made by
 * sending it to ourselves.
 */
export function connectUnix(path: string): number {
  const socket = connect(path)
  // The copy tells of it as well.
  socket.on('error', () => {})
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
  const [here, there] = check(native.socketPair(), 'make a socket pair')
  const fds: number[] = []
  check(native.sendMessage(there, Buffer.alloc(1), 0, 1, [fd]), 'send the connection')
  check(native.receiveMessage(here, Buffer.alloc(1), 0, 1, fds), 'receive the connection')
  for (const end of [here, there]) closeSync(end)
  socket.destroy()
  check(native.setNonBlocking(fds[0] as number, true), 'use the connection')
  return fds[0] as number
}
