/** TPMs that refuse nearly everything: in field upgrade, in failure mode, in the middle of a self-test. */
import { parseResultCode } from '../../tpm-structures/result-codes.ts'
import { rc } from '../effects/instead.ts'
import type { Exchange } from '../exchange.ts'
import type { Responder } from '../responder.ts'
import { Response } from '../response.ts'
import { parseTime } from '../time.ts'
import { capabilityList, withList } from './capability-list.ts'
import { isForDevice } from './mode.ts'

/**
 * Every command is answered UPGRADE. A TPM of Infineon answers SUCCESS to what a driver starts with, and GetCapability has empty lists.
 * @see drivers/char/tpm/tpm2-cmd.c, tpm2_get_tpm_pt()
 */
export function fieldUpgrade(value: string): Responder {
  if (value !== '' && value !== 'infineon')
    throw new RangeError(`"${value}" is not infineon; leave it out for any other`)
  return async (exchange, next) => {
    if (isForDevice(exchange)) return undefined
    if (value === '') return rc('UPGRADE')
    if (['Startup', 'SelfTest', 'Shutdown'].includes(exchange.name)) return Response.ofCode(exchange, 0)
    if (exchange.name !== 'GetCapability') return rc('UPGRADE')
    const response = await next()
    const list = capabilityList(response)
    return list === undefined ? response : withList(response, { ...list, more: false, entries: [] })
  }
}

const FAILED = { '2': 'FAILURE', '1.2': 'FAILEDSELFTEST' } as const

/** As a self-test that has failed leaves a TPM: it tells of itself, and does nothing else. @see TPM 2.0 Part 1, 12.4 */
export const failure = (): Responder => (exchange) => {
  if (isForDevice(exchange) || exchange.name === 'GetCapability') return undefined
  if (exchange.name !== 'GetTestResult') return rc(FAILED[exchange.version])
  return testResult(exchange)
}

/** No data, and that the test has failed. */
function testResult(exchange: Exchange): Response {
  const code = parseResultCode(FAILED[exchange.version], exchange.version) as number
  const bytes = Buffer.alloc(exchange.version === '2' ? 16 : 14)
  bytes.writeUInt16BE(exchange.version === '2' ? 0x8001 : 0x00c4, 0)
  bytes.writeUInt32BE(bytes.length, 2)
  if (exchange.version === '2') bytes.writeUInt32BE(code, 12)
  return new Response(exchange, bytes)
}

/** What a TPM does while it tests itself. */
const DURING_TEST = ['Startup', 'Shutdown', 'SaveState', 'GetCapability', 'GetTestResult']

/** For so long after each Startup, and after the begin, the TPM tests itself in the background. */
export function selfTest(value: string): Responder {
  const ms = parseTime(value)
  if (ms === undefined) throw new RangeError(`"${value}" is no time; write 900ms, 2s or 50us`)
  let beganMs = 0
  return (exchange) => {
    if (exchange.name === 'Startup') beganMs = exchange.atMs
    if (isForDevice(exchange) || DURING_TEST.includes(exchange.name)) return undefined
    if (exchange.atMs - beganMs >= ms) return undefined
    return rc(exchange.version === '2' ? 'TESTING' : 'DOING_SELFTEST')
  }
}
