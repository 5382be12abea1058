/** One request, a line, to a program that listens on a Unix socket; and its answer. */
import { connect } from 'node:net'
import { SwtpmError } from '../../system/errors.ts'
import { fileKind } from '../../system/file-kind.ts'
import { reasonOf } from '../../system/reason.ts'

export interface Asked {
  /** Whom, for messages: `the fleet`. */
  readonly whom: string
  /** What to do where nobody listens. */
  readonly none: string
  /** Who may ask. */
  readonly allowed: string
}

/** More than any fleet's list has. Another program may have made the socket, and sends without an end. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024

/**
 * Waits for the answer as long as it takes.
 * @param line without its newline
 * @returns everything that was answered, until the end
 * @throws SwtpmError SWTPM_ERR_SOCKET
 */
export function askLine(path: string, line: string, { whom, none, allowed }: Asked): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string, cause?: unknown): void =>
      reject(new SwtpmError('SWTPM_ERR_SOCKET', `Cannot ask ${whom} at "${path}": ${reason}`, { cause }))
    const socket = connect(path)
    const received: Buffer[] = []
    socket.on('error', (error: NodeJS.ErrnoException) => fail(explain(error), error))
    let receivedBytes = 0
    socket.on('data', (chunk) => {
      receivedBytes += chunk.length
      if (receivedBytes <= MAX_ANSWER_BYTES) received.push(chunk)
      else {
        socket.destroy()
        fail(`it answers with more than ${MAX_ANSWER_BYTES} bytes, so it is another program`)
      }
    })
    socket.on('end', () => {
      const text = Buffer.concat(received).toString()
      if (text === '') return fail('it has ended without an answer')
      resolve(text)
    })
    socket.end(`${line}\n`)
  })

  function explain(error: NodeJS.ErrnoException): string {
    const kind = fileKind(path)
    if (kind !== undefined && kind !== 'a Unix socket') return `it is ${kind}, not a socket`
    const reason = reasonOf(Object.assign(error, { path }))
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') return none
    return error.code === 'EACCES' ? `${reason}; ${allowed}` : reason
  }
}
