/** PTM verbs at random, as the control channel and the engine's own channel carry them: big-endian, without a length. */
import { EDGES, type Random } from './random.ts'

export function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * i)
  return bytes
}

export interface VerbBytes {
  readonly code: number
  readonly body: Buffer
}

/** A verb with a body that has its form, whatever is in it. SHUTDOWN and SET_DATAFD are not among them. */
export function anyVerb(random: Random): VerbBytes {
  const data = random.bytes(random.pick([0, 1, 4, 8, 10, 64, 3072, 4096]))
  const [code, body] = random.pick<() => [code: number, body: Buffer]>([
    () => [random.pick([1, 4, 6, 8, 9, 0xa, 0xe, 0xf]), Buffer.alloc(0)],
    () => [2, u32(random.below(2))],
    () => [5, Buffer.from([random.below(7)])],
    () => [0xb, Buffer.from([random.below(7)])],
    () => [7, Buffer.concat([u32(data.length), data])],
    () => [0xc, u32(random.below(2), random.below(5), random.pick([0, 0, 0, ...EDGES]))],
    () => [0xd, Buffer.concat([u32(random.pick([0, 2]), random.below(5), data.length), data])],
    () => [0x11, u32(random.pick([0, 0, ...EDGES]))],
    () => [0x12, u32(0, random.below(64), random.below(3), 0)],
    () => [0x13, u32(random.below(3))],
    () => [random.pick([0, 0x14, 0x1009, 0xffffffff]), Buffer.alloc(0)],
  ])()
  return { code, body }
}
