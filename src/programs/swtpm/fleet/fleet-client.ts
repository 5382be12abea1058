/** The client's side of the fleet's socket. */
import { SwtpmError } from '../../../system/errors.ts'
import { reasonOf } from '../../../system/reason.ts'
import { askLine } from '../../common/ask-line.ts'
import { decodeAnswer, encodeLine, type FleetAnswer, type FleetRequest } from './fleet-protocol.ts'

/**
 * Sends one request and waits for its answer: as long as it takes to start or to end a TPM.
 * @throws SwtpmError SWTPM_ERR_SOCKET
 */
export async function ask(path: string, request: FleetRequest): Promise<FleetAnswer> {
  const text = await askLine(path, encodeLine(request), {
    whom: 'the fleet',
    none: 'none is running there; start one with swtpm fleet, or name its socket by --ctrl type=unixio,path=PATH',
    allowed: 'only the user that the fleet belongs to may ask it',
  })
  try {
    return decodeAnswer(text)
  } catch (error) {
    throw new SwtpmError('SWTPM_ERR_SOCKET', `Cannot ask the fleet at "${path}": ${reasonOf(error)}`, {
      cause: error,
    })
  }
}
