/** Commands and responses with random values, made from the tables: the types as generators. */

import { concat, sized16, u8, u16, u32 } from '../../src/tpm-commands/bytes.ts'
import { DIGEST_BYTES, TPM_HANDLES } from '../../src/tpm-structures/codes.ts'
import type { CommandRow } from '../../src/tpm-structures/commands.ts'
import type { Field, Type } from '../../src/tpm-structures/schema.ts'
import type { Random } from '../fuzz/random.ts'

/** Bytes, and what a decoder has to make of them. */
export interface Made<T> {
  readonly bytes: Buffer
  readonly value: T
}

type Values = Record<string, unknown>
type Of<K> = Extract<Type, { kind: K }>

const NOTHING: Made<undefined> = { bytes: Buffer.alloc(0), value: undefined }

export interface AnyMessage {
  readonly command: Made<Values>
  readonly response: Made<Values>
  readonly handles: readonly number[]
}

export function anyMessage(random: Random, row: CommandRow): AnyMessage {
  const handles = row.handles.map(() => random.word())
  const command = anyFields(random, row.parameters)
  const response = anyFields(random, row.responseParameters)
  const sessions = row.handles.filter(({ authorized }) => authorized).length || random.below(2)
  const responseHandles = row.responseHandles.map(() => u32(random.word()))
  const frame =
    row.version === '2' ? frame2(random, row.name === 'SetLocality' ? 0 : sessions) : frame12(random)
  const asked = frame.command(concat(...handles.map(u32)), command.bytes)
  const answered = frame.response(concat(...responseHandles), response.bytes)
  const whole = (tag: number, code: number, body: Buffer) =>
    concat(u16(tag), u32(10 + body.length), u32(code), body)
  return {
    handles,
    command: { bytes: whole(frame.tags[0], row.code, asked), value: command.value },
    response: { bytes: whole(frame.tags[1], 0, answered), value: response.value },
  }
}

interface Frame {
  readonly tags: readonly [command: number, response: number]
  command(handles: Buffer, parameters: Buffer): Buffer
  response(handles: Buffer, parameters: Buffer): Buffer
}

function frame2(random: Random, count: number): Frame {
  if (count === 0) return { tags: [0x8001, 0x8001], command: concat, response: concat }
  // Continued, and nothing enciphered.
  const attributes = u8(random.below(2))
  const each = (make: () => Buffer) => concat(...Array.from({ length: count }, make))
  const authorizations = each(() =>
    concat(
      u32(random.pick([TPM_HANDLES.PW, 0x02000000, 0x03000001])),
      sized16(random.bytes(random.below(21))),
      attributes,
      sized16(random.bytes(random.below(33))),
    ),
  )
  const answers = each(() => concat(sized16(random.bytes(16)), attributes, sized16(random.bytes(32))))
  return {
    tags: [0x8002, 0x8002],
    command: (handles, parameters) => concat(handles, u32(authorizations.length), authorizations, parameters),
    response: (handles, parameters) => concat(handles, u32(parameters.length), parameters, answers),
  }
}

function frame12(random: Random): Frame {
  const count = random.below(3)
  return {
    tags: [0xc1 + count, 0xc4 + count],
    command: (handles, parameters) => concat(handles, parameters, random.bytes(45 * count)),
    response: (handles, parameters) => concat(handles, parameters, random.bytes(41 * count)),
  }
}

function anyFields(random: Random, fields: readonly Field[]): Made<Values> {
  const parts: Buffer[] = []
  const value: Values = {}
  const numbers = new Map<string, number>()
  for (const field of fields) {
    const user = fields.find(({ selector }) => selector === field.name)
    const made =
      user === undefined
        ? anyOf(random, field.type, numbers.get(field.selector ?? ''), fields, field)
        : selectorFor(random, field.type as Of<'number'>, user.type)
    if ('number' in made) numbers.set(field.name, made.number as number)
    parts.push(made.bytes)
    if (made.value !== undefined) value[field.name] = made.value
  }
  return { bytes: Buffer.concat(parts), value }
}

/** A number that a union has a form for, or a digest a length. */
function selectorFor(random: Random, type: Of<'number'>, user: Type): Made<unknown> & { number: number } {
  const number =
    user.kind === 'union'
      ? type.constants!.value(random.pick([...user.choices.keys()].filter((name) => name !== '*')))!
      : random.pick([...DIGEST_BYTES.keys()])
  return {
    bytes: bigEndian(BigInt(number), type.width),
    value: type.constants?.text(number) ?? number,
    number,
  }
}

function anyOf(
  random: Random,
  type: Type,
  selected: number | undefined,
  fields: readonly Field[],
  field: Field,
): Made<unknown> {
  switch (type.kind) {
    case 'number':
      return anyNumber(random, type)
    case 'bytes': {
      const value = random.bytes(random.below(24))
      return {
        bytes: type.width === 0 ? value : concat(bigEndian(BigInt(value.length), type.width), value),
        value,
      }
    }
    case 'fixed': {
      const value = random.bytes(type.length)
      return { bytes: value, value: type.length === 0 ? undefined : value }
    }
    case 'digest': {
      const value = random.bytes(DIGEST_BYTES.get(selected!)!)
      return { bytes: value, value }
    }
    case 'sized':
      return anySized(random, type)
    case 'list': {
      const items = Array.from({ length: random.below(4) }, () =>
        anyOf(random, type.of(), undefined, fields, field),
      )
      return {
        bytes: concat(bigEndian(BigInt(items.length), type.width), ...items.map(({ bytes }) => bytes)),
        value: items.map(({ value }) => value),
      }
    }
    case 'union': {
      const selector = fields.find(({ name }) => name === field.selector)!.type as Of<'number'>
      const name = selector.constants!.text(selected!)!
      return anyOf(random, type.choices.get(name)!(), undefined, fields, field)
    }
    case 'struct': {
      const made = anyFields(random, type.fields)
      return made
    }
  }
}

function anySized(random: Random, type: Of<'sized'>): Made<unknown> {
  const inner = type.of()
  if (inner.kind !== 'struct') throw new Error('what has a size is a structure')
  const made = random.chance(0.1) ? NOTHING : anyFields(random, inner.fields)
  return { bytes: concat(bigEndian(BigInt(made.bytes.length), type.width), made.bytes), value: made.value }
}

function anyNumber(random: Random, { width, signed, constants }: Of<'number'>): Made<unknown> {
  if (constants?.kind === 'yes-no') {
    const value = random.chance(0.5)
    return { bytes: u8(value ? 1 : 0), value }
  }
  if ((constants?.kind === 'names' || constants?.kind === 'bits') && constants.words.length > 0) {
    const number = constants.value(random.pick(constants.words))!
    return { bytes: bigEndian(BigInt(number), width), value: constants.text(number) }
  }
  const bytes = random.bytes(width)
  if (width === 8) return { bytes, value: bytes.readBigUInt64BE() }
  const number = signed ? bytes.readIntBE(0, width) : bytes.readUIntBE(0, width)
  return { bytes, value: constants?.kind === 'codes' ? constants.text(number) : number }
}

function bigEndian(value: bigint, width: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value))
  return bytes.subarray(8 - width)
}
