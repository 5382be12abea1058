/** Inside the guest: the socket that `$TPM_N_SCRIPT` names, for a TPM that is outside. */
import { createReadStream, createWriteStream } from 'node:fs'
import { createServer } from 'node:net'
import { Connections } from './connections.ts'
import { FrameReader } from './frames.ts'

/**
 * Serves until the guest ends.
 * @param device the channel's
 * @param path of the socket
 */
export function relayFromDevice(device: string, path: string): Promise<never> {
  // One descriptor: a channel of the guest can be opened once.
  const output = createWriteStream(device, { flags: 'r+' })
  return new Promise((_, reject) => {
    output.on('error', reject)
    output.on('open', (fd) => {
      const input = createReadStream(device, { fd, autoClose: false })
      const connections = new Connections(output)
      const frames = new FrameReader((frame) => connections.take(frame))
      input.on('data', (chunk) => frames.add(chunk as Buffer))
      input.on('error', reject)
      let count = 0
      createServer({ allowHalfOpen: true }, (socket) => {
        const number = ++count
        connections.add(number, socket)
        connections.send({ open: number })
      })
        .on('error', reject)
        .listen(path)
    })
  })
}
