/**
 * ioctl(2) on a CUSE TPM: finds the row of the PTM table by the whole request number, decodes the argument in host byte
 * order, encodes the answer at the size that the number promises.
 */
import { HOST } from '../../contract/struct.ts'
import {
  capabilities,
  ioctlSize,
  type Request,
  VERBS,
  type Verb,
  type VerbName,
  verbByIoctl,
} from '../../contract/verbs.ts'
import type { StateblobTransfer } from '../tpm/stateblob-transfer.ts'
import type { Tpm } from '../tpm/tpm.ts'
import { execute, type HandledVerb } from '../tpm/verb-handlers.ts'

export interface PtmIoctl {
  readonly name: VerbName
  readonly urgent: boolean
  execute(tpm: Tpm, transfer: StateblobTransfer): Promise<Buffer>
}

/**
 * @param number the whole ioctl request number: direction, size, type and nr must match
 * @returns undefined for a number that is no verb's, or an argument of another size than the number says
 */
export function ptmIoctl(number: number, argument: Buffer, outSize: number): PtmIoctl | undefined {
  const name = verbByIoctl(number)
  if (name === undefined) return undefined
  const size = ioctlSize(name)
  const { req, resp, urgent }: Verb = VERBS[name]
  if (outSize !== size || (req.size > 0 && argument.length !== size)) return undefined
  const request = (req.size > 0 ? req.decode(argument, HOST) : {}) as Record<string, unknown>
  return {
    name,
    urgent: urgent ?? false,
    async execute(tpm, transfer) {
      const outcome = await run(tpm, transfer, name, request)
      const answer = Buffer.alloc(size)
      // A failure is its result alone; what follows it is zero.
      if (Object.keys(outcome).length === 1 && 'tpmResult' in outcome) {
        answer.set(HOST_RESULT(outcome.tpmResult as number))
      } else {
        answer.set(resp.encode(outcome, HOST))
      }
      return answer
    },
  }
}

const HOST_RESULT = (tpmResult: number): Buffer => VERBS.STOP.resp.encode({ tpmResult }, HOST)

async function run(
  tpm: Tpm,
  transfer: StateblobTransfer,
  name: VerbName,
  request: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  switch (name) {
    case 'GET_CAPABILITY':
      return { caps: BigInt(capabilities('ioctl', false)) }
    case 'GET_STATEBLOB':
      return transfer.get(request as Request<'GET_STATEBLOB'>)
    case 'SET_STATEBLOB':
      return transfer.set(request as Request<'SET_STATEBLOB'>)
    case 'HASH_DATA': {
      const { length, data } = request as Request<'HASH_DATA'>
      const used = length <= data.length ? data.subarray(0, length) : data
      return execute(tpm, 'HASH_DATA', { length, data: used })
    }
    case 'GET_INFO': {
      // The engine gives the whole text; an ioctl holds only so much of it.
      const outcome = await execute(tpm, 'GET_INFO', request as Request<'GET_INFO'>)
      if (!('buffer' in outcome)) return outcome
      const capacity = VERBS.GET_INFO.resp.size - VERBS.GET_INFO.resp.fixedSize
      const buffer = outcome.buffer.subarray(0, capacity)
      return { ...outcome, buffer, length: buffer.length }
    }
    default:
      return execute(tpm, name as HandledVerb, request as Request<HandledVerb>)
  }
}
