/** The client's side of the fleet's socket. */
import { connect } from 'node:net'
import { SwtpmError } from '../../../system/errors.ts'
import { reasonOf } from '../../../system/reason.ts'
import { decodeAnswer, encodeLine, type FleetAnswer, type FleetRequest } from './fleet-protocol.ts'

/**
 * Sends one request and waits for its answer: as long as it takes to start or to end a TPM.
 * @throws SwtpmError SWTPM_ERR_SOCKET
 */
export function ask(path: string, request: FleetRequest): Promise<FleetAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string, cause?: unknown): void =>
      reject(new SwtpmError('SWTPM_ERR_SOCKET', `Cannot ask the fleet at "${path}": ${reason}`, { cause }))
    const socket = connect(path)
    const received: Buffer[] = []
    socket.on('error', (error: NodeJS.ErrnoException) => fail(explain(error), error))
    socket.on('data', (chunk) => received.push(chunk))
    socket.on('end', () => {
      const text = Buffer.concat(received).toString()
      if (text === '') return fail('it has ended without an answer')
      try {
        resolve(decodeAnswer(text))
      } catch (error) {
        fail(reasonOf(error), error)
      }
    })
    socket.end(encodeLine(request))
  })
}

function explain({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return 'none is running there; start one with swtpm fleet, or name its socket by --ctrl type=unixio,path=PATH'
    case 'EACCES':
      return 'it belongs to another user, who alone may ask it'
    default:
      return message
  }
}
