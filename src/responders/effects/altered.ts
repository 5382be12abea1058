/** A response of the TPM that is changed on its way. `exchange.with()` and `response.with()` take the same words. */
import { decodeCommand } from '../../tpm-structures/decode-command.ts'
import { decodeResponse } from '../../tpm-structures/decode-response.ts'
import { candidates, setField } from '../../tpm-structures/locate.ts'
import { type DecodedMessage, HEADER_BYTES } from '../../tpm-structures/message.ts'
import type { AlterationContext } from '../alteration.ts'
import { type AlteringEffect, alteringEffect, type Effect, effect } from './effect.ts'
import { fromHex } from './instead.ts'

/** Without as many bytes of a message, its header says what it says. */
const withSize = (bytes: Buffer, size = bytes.length): Buffer => {
  if (bytes.length < HEADER_BYTES) return bytes
  const altered = Buffer.from(bytes)
  altered.writeUInt32BE(size >>> 0, 2)
  return altered
}

/**
 * The first `length` bytes alone; the header says what it said.
 * @example tpm.on('ReadPublic#1', truncate(20))
 */
export const truncate = (length: number): AlteringEffect =>
  alteringEffect(`truncate=${length}`, (bytes) => bytes.subarray(0, length))

/**
 * The first `length` bytes alone, with a header that says so.
 * @example tpm.on('ReadPublic', shorten(12))
 */
export const shorten = (length: number): AlteringEffect =>
  alteringEffect(`shorten=${length}`, (bytes) => withSize(bytes.subarray(0, length)))

/**
 * So many zeros, or these bytes, behind the message; the header says what it said.
 * @example tpm.on('GetRandom', append(10))
 */
export function append(what: number | string | Buffer): AlteringEffect {
  const more = typeof what === 'number' ? Buffer.alloc(what) : typeof what === 'string' ? fromHex(what) : what
  const text = typeof what === 'number' ? String(what) : more.toString('hex')
  return alteringEffect(`append=${text}`, (bytes) => Buffer.concat([bytes, more]))
}

/**
 * Another size in the header.
 * @param value a number, or one with a sign, which is added: `'+1'`
 * @example tpm.on('GetRandom', size('+1'))
 */
export function size(value: number | string): AlteringEffect {
  const text = String(value)
  if (!/^[+-]?\d+$/.test(text)) throw new RangeError(`"${text}" is no size`)
  const relative = /^[+-]/.test(text)
  return alteringEffect(`size=${text}`, (bytes) =>
    withSize(bytes, relative && bytes.length >= 6 ? bytes.readUInt32BE(2) + Number(text) : Number(text)),
  )
}

/**
 * Another tag in the header.
 * @param value a number, or four hexadecimal digits
 * @example tpm.on('GetRandom', tag(0x00c4))
 */
export function tag(value: number | string): AlteringEffect {
  const number = typeof value === 'number' ? value : Number(`0x${fromHex(value).toString('hex')}`)
  if (!(number >= 0 && number <= 0xffff))
    throw new RangeError(`a tag has two bytes, and not those of "${value}"`)
  return alteringEffect(`tag=${number.toString(16).padStart(4, '0')}`, (bytes) => {
    const altered = Buffer.from(bytes)
    if (altered.length >= 2) altered.writeUInt16BE(number, 0)
    return altered
  })
}

/**
 * One bit is another.
 * @param offset of the byte, or `'random'`: any bit behind the header
 * @param bit 0 is the lowest
 * @example tpm.on('CreatePrimary', flip('random'))
 */
export function flip(offset: number | 'random', bit = 0, random = Math.random): AlteringEffect {
  const text = offset === 'random' ? 'random' : bit === 0 ? String(offset) : `${offset}.${bit}`
  return alteringEffect(`flip=${text}`, (bytes) => {
    const altered = Buffer.from(bytes)
    const first = Math.min(HEADER_BYTES, altered.length - 1)
    const at = offset === 'random' ? first + Math.floor(random() * (altered.length - first)) : offset
    if (at >= 0 && at < altered.length)
      altered[at] = (altered[at] as number) ^ (1 << (offset === 'random' ? Math.floor(random() * 8) : bit))
    return altered
  })
}

/**
 * Another value in a field, named as in Part 2 and 3: `set('data.count', 64)`, `set('randomBytes.size', '+1')`. In front of a
 * field of the command is `command.`, when it is the command that a rule is to alter.
 * @param value a number, one with a sign, which is added, bytes, or hexadecimal digits behind 0x
 * @throws RangeError when it strikes: the message has no such field
 * @example tpm.on('GetCapability[capability=PCRS]', set('data.count', 64))
 */
export function set(path: string, value: number | string | Buffer): AlteringEffect {
  const text = `set=${path}:${Buffer.isBuffer(value) ? `0x${value.toString('hex')}` : value}`
  const inCommand = path.startsWith(COMMAND_PATH)
  const field = inCommand ? path.slice(COMMAND_PATH.length) : path
  const alter = (bytes: Buffer, { command, kind }: AlterationContext): Buffer =>
    withField(kind === 'command' ? decodeCommand(bytes) : decodeResponse(bytes, command), field, value)
  if (!inCommand) return alteringEffect(text, alter)
  const made: Effect = effect(text, (strike) => strike.alterCommand({ alter }))
  return Object.assign(made, { alter })
}

const COMMAND_PATH = 'command.'

/** @throws RangeError */
function withField(message: DecodedMessage, path: string, value: number | string | Buffer): Buffer {
  if (typeof value !== 'string' || !/^[+-]\d+$/.test(value)) return setField(message, path, value)
  const [location] = candidates(message, path)
  if (location === undefined || location.kind !== 'number') return setField(message, path, value)
  const { offset, length } = location
  const bits = BigInt(8 * length)
  const before = BigInt(`0x${message.bytes.toString('hex', offset, offset + length)}`)
  return setField(message, path, BigInt.asUintN(Number(bits), before + BigInt(value)))
}
