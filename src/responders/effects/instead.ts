/** A response that is not the TPM's; the TPM does not get the command. */
import { didYouMean } from '../../system/did-you-mean.ts'
import { parseResultCode, resultNames } from '../../tpm-structures/result-codes.ts'
import { Response } from '../response.ts'
import { type Effect, effect } from './effect.ts'

/**
 * A response code, and nothing more.
 * @param code a number, or as `--fault` has it: `RETRY`, `HASH@p1`, `0x922`. Names are looked up in the version of the TPM that is asked
 * @throws RangeError: no version of the TPM has such a code
 * @example tpm.on('GetRandom#1-2', rc('RETRY'))
 */
export function rc(code: number | string): Effect {
  const word = typeof code === 'number' ? `0x${code.toString(16)}` : code
  // A mistake is said at once, and not by the first command.
  const of = { '2': parseResultCode(word, '2'), '1.2': parseResultCode(word, '1.2') }
  if (of['2'] === undefined && of['1.2'] === undefined) throw noSuchCode(word)
  return effect(`rc=${word}`, (strike) => {
    const value = of[strike.exchange.version]
    if (value === undefined)
      throw new RangeError(`a TPM ${strike.exchange.version} has no response code ${word}`)
    strike.answer = Response.ofCode(strike.exchange, value)
  })
}

function noSuchCode(word: string): RangeError {
  const [name = '', place] = word.split('@')
  const near = didYouMean(name.toUpperCase().replace(/^TPM_(RC_)?/, ''), resultNames())
  if (near === undefined)
    return new RangeError(`no response code "${word}"; write a name without TPM_RC_, or a number behind 0x`)
  if (near !== name.toUpperCase()) return new RangeError(`no response code "${word}"; did you mean ${near}?`)
  return new RangeError(
    `${near} cannot be about "${place}"; write @p1 to @p15, @s1 to @s7 or @h1 to @h7, and a code that has a place`,
  )
}

/**
 * These bytes, whatever they are.
 * @param bytes hexadecimal digits, or the bytes themselves
 * @example tpm.on('Create', respond('80010000000a00000101'))
 */
export function respond(bytes: string | Buffer): Effect {
  const hex = typeof bytes === 'string' ? bytes : bytes.toString('hex')
  const response = fromHex(hex)
  return effect(`respond=${hex}`, (strike) => {
    strike.answer = new Response(strike.exchange, response)
  })
}

/** @throws RangeError */
export function fromHex(hex: string): Buffer {
  if (!/^([0-9a-f]{2})+$/i.test(hex)) throw new RangeError(`"${hex}" is not pairs of hexadecimal digits`)
  return Buffer.from(hex, 'hex')
}

/**
 * The response that the command before was given once more; an empty one if there was none.
 * @example tpm.on('PCR_Read', previous())
 */
export function previous(): Effect {
  const made = effect('previous', (strike) => {
    strike.answer = new Response(strike.exchange, strike.exchange.previousResponse)
  })
  return Object.assign(made, { needsPrevious: true })
}
