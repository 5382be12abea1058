/** What the filters of a rule ask: `[capability=PCRS]`, `[primaryHandle=NULL]`, `[handle=0x02000000/8]`. */
import type { DecodedCommand } from './decode-command.ts'
import { contentOf, type FieldNode } from './fields.ts'
import { handleNamed } from './handles.ts'
import { candidates, numberIn } from './locate.ts'

/** Whether a field holds a handle: in the handle area, or a parameter. */
const isHandle = ({ type }: FieldNode): boolean =>
  type.kind === 'number' && type.constants?.kind === 'handles'

/**
 * Whether a command has that value in a handle or parameter.
 * @param name by its path, of which steps may be left out (see locate.ts); `handle` is any handle of the command
 * @param value a number, its word in Part 2, or hex digits for bytes. A handle may be a range: `0x02000000/8` is all handles
 *   that begin with these 8 bits
 */
export function matchesParameter(command: DecodedCommand, name: string, value: string): boolean {
  if (name.toLowerCase() === 'handle' && command.handles.every((handle) => handle.name !== 'handle')) {
    return [...command.fields.children].some((field) => isHandle(field) && hasValue(command, field, value))
  }
  const found = candidates(command, name)
  const [location] = found
  if (found.length !== 1 || location === undefined) return false
  const { field, kind, offset, length } = location
  if (kind === 'number' && field.type.kind !== 'number') {
    const asked = numberIn(field, value)
    return asked !== undefined && BigInt(command.bytes.readUIntBE(offset, length)) === asked
  }
  return hasValue(command, field, value)
}

function hasValue(command: DecodedCommand, field: FieldNode, value: string): boolean {
  const number = field.value
  if (number === undefined)
    return contentOf(command.bytes, field).toString('hex') === value.replace(/^0x/i, '').toLowerCase()
  if (isHandle(field)) return isHandleIn(Number(number), value)
  return numberIn(field, value) === BigInt(number)
}

/** @param range a handle in words or digits, and how many of its first bits count: all, without */
export function isHandleIn(handle: number, range: string): boolean {
  const [text = '', bits] = range.split('/')
  const first = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : handleNamed(text)
  if (first === undefined) return false
  const shift = bits === undefined ? 0 : 32 - Number(bits)
  if (shift >= 32) return true
  return handle >>> shift === first >>> shift
}
