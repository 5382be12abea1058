/** Outside the guest: a connection to the script socket of a TPM for each that a program in the guest has opened. */
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { Connections } from './connections.ts'
import { FrameReader } from './frames.ts'

/** @param channel to the guest @param path of the TPM's script socket */
export function relayToSocket(channel: Duplex, path: string): void {
  const connections = new Connections(channel)
  const frames = new FrameReader((frame) => {
    if ('open' in frame) connections.add(frame.open, connect({ path, allowHalfOpen: true }))
    else connections.take(frame)
  })
  channel.on('data', (chunk: Buffer) => frames.add(chunk))
  channel.on('close', () => connections.closeAll())
}
