/** Whether two responses to the same command say the same, as far as two TPMs can. */
import type { DecodedCommand } from '../tpm-structures/decode-command.ts'
import type { DecodedResponse } from '../tpm-structures/decode-response.ts'
import { fieldClass } from '../tpm-structures/field-classes.ts'
import { contentOf, type FieldNode, pathOf } from '../tpm-structures/fields.ts'
import type { DecodedMessage } from '../tpm-structures/message.ts'

export interface Difference {
  /** `code`, `size`, or the path of a field. */
  readonly path: string
  /** In words; of secrets and keys, the length only. */
  readonly recorded: string
  readonly got: string
}

/** Handles of the recording, and what the same thing is called in the other TPM. */
export type HandleMap = ReadonlyMap<number, number>

const NO_HANDLES: HandleMap = new Map()
/** They count bytes of what is compared anyway. */
const FRAME = new Set(['header', 'parameterSize', 'authorizationSize'])

export function responseDifferences(
  recorded: DecodedResponse,
  got: DecodedResponse,
  handles: HandleMap = NO_HANDLES,
): Difference[] {
  if (recorded.code !== got.code) return [{ path: 'code', recorded: recorded.text, got: got.text }]
  if (recorded.problem !== undefined || got.problem !== undefined)
    return recorded.bytes.equals(got.bytes)
      ? []
      : [{ path: 'bytes', recorded: recorded.problem ?? 'in order', got: got.problem ?? 'in order' }]
  const found: Difference[] = []
  compare(recorded, got, recorded.fields, got.fields, { command: recorded.command.name, handles, found })
  return found
}

/** Whether both ask for the same: command, handles and parameters, but for what a client makes up anew. Sessions do not count. */
export function asksTheSame(one: DecodedCommand, other: DecodedCommand): boolean {
  if (one.code !== other.code || one.version !== other.version) return false
  if (!one.hasHeader || !other.hasHeader || one.problem !== undefined || other.problem !== undefined)
    return one.bytes.equals(other.bytes)
  if (one.handles.some(({ value }, index) => value !== other.handles[index]?.value)) return false
  if (one.parameterFields.length !== other.parameterFields.length) return false
  const found: Difference[] = []
  const context = { command: one.name, handles: NO_HANDLES, found }
  for (const [index, field] of one.parameterFields.entries())
    compareFields(one, other, field, other.parameterFields[index] as FieldNode, 'command', context)
  return found.length === 0
}

interface Context {
  readonly command: string
  readonly handles: HandleMap
  readonly found: Difference[]
}

function compare(
  recorded: DecodedMessage,
  got: DecodedMessage,
  one: FieldNode,
  other: FieldNode,
  context: Context,
): void {
  const fields = (node: FieldNode) => node.children.filter(({ name }) => !FRAME.has(name))
  const [mine, theirs] = [fields(one), fields(other)]
  for (const [index, field] of mine.entries()) {
    const against = theirs[index]
    if (against === undefined)
      context.found.push({ path: pathOf(field), recorded: 'is there', got: 'is missing' })
    else compareFields(recorded, got, field, against, 'response', context)
  }
  for (const extra of theirs.slice(mine.length))
    context.found.push({ path: pathOf(extra), recorded: 'is missing', got: 'is there' })
}

function compareFields(
  recorded: DecodedMessage,
  got: DecodedMessage,
  one: FieldNode,
  other: FieldNode,
  kind: 'command' | 'response',
  context: Context,
): void {
  const { found, command, handles } = context
  const path = pathOf(one)
  const what = fieldClass(command, kind, one)
  const masked = what === 'random' || what === 'keyed' || what === 'time'
  if (one.value !== undefined && other.value !== undefined) {
    // Algorithms and the like stand beside what depends on a key.
    if (what === 'random' || what === 'time') return
    const expected = isHandle(one) ? (handles.get(Number(one.value)) ?? one.value) : one.value
    if (BigInt(expected) !== BigInt(other.value))
      found.push({ path, recorded: hexOf(one.value), got: hexOf(other.value) })
    return
  }
  if (one.children.length > 0 || other.children.length > 0) {
    for (let index = 0; index < Math.max(one.children.length, other.children.length); index++) {
      const [mine, theirs] = [one.children[index], other.children[index]]
      if (mine !== undefined && theirs !== undefined)
        compareFields(recorded, got, mine, theirs, kind, context)
      else {
        found.push({ path, recorded: `${one.children.length} in it`, got: `${other.children.length} in it` })
        return
      }
    }
    return
  }
  const [mine, theirs] = [contentOf(recorded.bytes, one), contentOf(got.bytes, other)]
  if (masked ? mine.length === theirs.length : mine.equals(theirs)) return
  const text = (bytes: Buffer): string =>
    masked || what === 'secret' ? `${bytes.length} bytes` : bytes.toString('hex')
  found.push({ path, recorded: text(mine), got: text(theirs) })
}

const isHandle = ({ type }: FieldNode): boolean =>
  type.kind === 'number' && type.constants?.kind === 'handles'
const hexOf = (value: number | bigint): string => `0x${value.toString(16)}`
