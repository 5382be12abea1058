/** A TPM that lacks a command or an algorithm, and says so. */

import { didYouMean } from '../../system/did-you-mean.ts'
import { TPM_ALG } from '../../tpm-structures/codes.ts'
import { commandByName } from '../../tpm-structures/commands.ts'
import { set } from '../effects/altered.ts'
import { rc } from '../effects/instead.ts'
import type { Exchange } from '../exchange.ts'
import type { Next, Responder } from '../responder.ts'
import type { Response } from '../response.ts'
import { CAP, type CapabilityList, capabilityList, withList, withProperties } from './capability-list.ts'

const PT_TOTAL_COMMANDS = 0x129
const PT_LIBRARY_COMMANDS = 0x12a
/** TPMA_CC: which command, and whether the vendor has made it. */
const CC_MASK = 0x2000ffff

export function without(value: string): Responder {
  const command = commandByName(value, '2')
  const name = value.toUpperCase().replace(/^TPM_ALG_/, '')
  const algorithm = (TPM_ALG as Readonly<Record<string, number>>)[name]
  if (command !== undefined) return withoutCommand(command.code)
  if (algorithm !== undefined) return withoutAlgorithm(name, algorithm)
  const near = didYouMean(name, Object.keys(TPM_ALG))
  throw new RangeError(
    `"${value}" is neither a command nor an algorithm of TPM 2.0${near === undefined ? '' : `; did you mean ${near}?`}`,
  )
}

function withoutCommand(code: number): Responder {
  return async (exchange, next) => {
    if (exchange.code === code) return rc('COMMAND_CODE')
    if (exchange.name !== 'GetCapability') return undefined
    const isIt = (entry: Buffer): boolean => (entry.readUInt32BE(0) & CC_MASK) === (code & CC_MASK)
    if (exchange.parameters.capability === 'COMMANDS')
      return filtered(exchange, next, (_, entry) => !isIt(entry))
    return withProperties(await next(), (property, count) =>
      property === PT_TOTAL_COMMANDS || property === PT_LIBRARY_COMMANDS ? count - 1 : count,
    )
  }
}

function withoutAlgorithm(name: string, algorithm: number): Responder {
  return (exchange, next) => {
    if (exchange.name !== 'GetCapability') {
      const at = Object.entries(exchange.parameters).findIndex(([key, value]) => names(value, key, name))
      return at < 0 ? undefined : rc(`VALUE@p${at + 1}`)
    }
    return filtered(exchange, next, (list, entry) => {
      if (list === CAP.curves) return algorithm !== TPM_ALG.ECC
      return (list !== CAP.algs && list !== CAP.pcrs) || entry.readUInt16BE(0) !== algorithm
    })
  }
}

/** Whether a value, or one in it, is the name of the algorithm. A session may be of type HMAC without that. */
function names(value: unknown, key: string, name: string): boolean {
  if (value === name) return key !== 'sessionType'
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return false
  return Object.entries(value).some(([inner, each]) => names(each, inner, name))
}

/** A list from which something is missing is as long as the client has asked for, where there is more. */
async function filtered(
  exchange: Exchange,
  next: Next,
  stays: (capability: number, entry: Buffer) => boolean,
): Promise<Response> {
  const { propertyCount } = exchange.parameters
  const asked = typeof propertyCount === 'number' ? propertyCount : 0
  const response = await next(exchange.with(set('propertyCount', '+1')))
  const list = capabilityList(response)
  if (list === undefined) return response
  const left = list.entries.filter((entry) => stays(list.capability, entry))
  const shown: CapabilityList = {
    ...list,
    // All banks of PCRs come at once.
    entries: list.capability === CAP.pcrs ? left : left.slice(0, asked),
    more: list.more || (list.capability !== CAP.pcrs && left.length > asked),
  }
  return withList(response, shown)
}
