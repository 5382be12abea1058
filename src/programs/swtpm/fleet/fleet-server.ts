/** The fleet's socket: takes requests, a line each, and answers them in order. Clients do not wait for each other. */

import { LineServer } from '../../../system/io/line-server.ts'
import { reasonOf } from '../../../system/reason.ts'
import {
  decodeRequest,
  encodeLine,
  type FleetAnswer,
  type FleetRequest,
  MAX_LINE_BYTES,
} from './fleet-protocol.ts'

export type Answerer = (request: FleetRequest) => Promise<FleetAnswer>

/** Takes over `listenFd`. */
export function serveFleetClients(listenFd: number, answer: Answerer): LineServer {
  return new LineServer(listenFd, {
    maxLineBytes: MAX_LINE_BYTES,
    serve: () => ({
      line: async (text) => encodeLine(await answerLine(text, answer)),
      tooLong: () => encodeLine(refusal(`a request is longer than ${MAX_LINE_BYTES} bytes`)),
    }),
  })
}

async function answerLine(line: string, answer: Answerer): Promise<FleetAnswer> {
  let request: FleetRequest
  try {
    request = decodeRequest(line)
  } catch (error) {
    return refusal(`a request cannot be read: ${reasonOf(error)}`)
  }
  return answer(request)
}

const refusal = (error: string): FleetAnswer => ({ ok: false, error })
