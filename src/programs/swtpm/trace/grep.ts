/** Which exchanges of a recording are meant, in the language of `--fault`. */
import { Exchange } from '../../../responders/exchange.ts'
import { seededRandom } from '../../../responders/random.ts'
import { Response } from '../../../responders/response.ts'
import type { TpmControl } from '../../../responders/tpm-control.ts'
import { Matcher } from '../../../responders/when/when.ts'
import { TPM_CC } from '../../../tpm-structures/command-codes.ts'
import { decodeCommand } from '../../../tpm-structures/decode-command.ts'
import type { TracedExchange } from '../../../tpm-structures/exchange-text.ts'

const nothing = (): never => {
  throw new Error('a recording has no TPM')
}
const NO_TPM: TpmControl = { crash: nothing, reset: nothing, forget: nothing, unplug: nothing }

/**
 * @param when `%` is by chance with the same seed each time; `after` and `during` are from the start of the recording
 * @returns asked once for each exchange, in order
 * @throws RuleError
 */
export function grep(when: string): (traced: TracedExchange) => boolean {
  let atMs = 0
  let number = 0
  const matcher = new Matcher(when, seededRandom(0, 0), () => atMs)
  return (traced) => {
    atMs = 1000 * (traced.at ?? 0)
    return matcher.isMeant(exchangeOf(traced, ++number))
  }
}

function exchangeOf({ command, response, locality, at }: TracedExchange, number: number): Exchange {
  const bytes = Buffer.from(command)
  const decoded = decodeCommand(bytes)
  return new Exchange({
    bytes,
    locality: locality ?? 0,
    // Only this can be told of a recording.
    from: decoded.code === TPM_CC.SetLocality ? 'driver' : 'client',
    version: decoded.version,
    number,
    nth: number,
    atMs: 1000 * (at ?? 0),
    signal: new AbortController().signal,
    tpm: NO_TPM,
    response: Promise.resolve(
      new Response({ version: decoded.version, command: decoded }, Buffer.from(response ?? [])),
    ),
    delivered: Promise.resolve(),
    received: bytes,
    faults: [],
    previousResponse: Buffer.alloc(0),
  })
}
