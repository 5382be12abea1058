/** The client's side of the fleet's socket. */
import { connect } from 'node:net'
import { SwtpmError } from '../../../system/errors.ts'
import { fileKind } from '../../../system/file-kind.ts'
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
    socket.on('error', (error: NodeJS.ErrnoException) => fail(explain(error, path), error))
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

function explain(error: NodeJS.ErrnoException, path: string): string {
  const kind = fileKind(path)
  if (kind !== undefined && kind !== 'a Unix socket') return `it is ${kind}, not a socket`
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return 'none is running there; start one with swtpm fleet, or name its socket by --ctrl type=unixio,path=PATH'
    case 'EACCES':
      return `${reasonOf(Object.assign(error, { path }))}; only the user that the fleet belongs to may ask it`
    default:
      return reasonOf(Object.assign(error, { path }))
  }
}
