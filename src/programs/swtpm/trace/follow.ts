/** Watches a TPM that is served, by its script socket. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { reasonOf } from '../../../system/reason.ts'
import { ToolFailure } from '../../common/tool-failure.ts'

/**
 * The lines of the socket from now on: each exchange that is meant, when it is over.
 * @param when in the language of `--fault`
 * @throws ToolFailure: there is no such socket, or it does not understand `when`
 */
export async function* follow(path: string, when: string): AsyncGenerator<Uint8Array> {
  const socket = await opened(path)
  socket.write(`${JSON.stringify({ watch: when })}\n`)
  let answer = Buffer.alloc(0)
  let isAnswered = false
  try {
    for await (const piece of socket as AsyncIterable<Buffer>) {
      if (isAnswered) {
        yield piece
        continue
      }
      answer = Buffer.concat([answer, piece])
      const end = answer.indexOf('\n')
      if (end < 0) continue
      requireGranted(answer.toString('utf8', 0, end))
      isAnswered = true
      yield answer.subarray(end + 1)
    }
  } catch (error) {
    if (error instanceof ToolFailure) throw error
    throw new ToolFailure(`Cannot read from "${path}": ${reasonOf(error)}`, { cause: error })
  } finally {
    socket.destroy()
  }
}

async function opened(path: string): Promise<Socket> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return socket
  } catch (error) {
    throw new ToolFailure(
      `Cannot connect to "${path}": ${reasonOf(error)}; start the TPM with --script-socket path=PATH`,
      { cause: error },
    )
  }
}

/** The first line is the answer to what was asked for. */
function requireGranted(line: string): void {
  const answer = JSON.parse(line) as { readonly error?: string }
  if (answer.error !== undefined) throw new ToolFailure(`Cannot follow: ${answer.error}`)
}
