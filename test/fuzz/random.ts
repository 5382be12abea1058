/** Repeatable random numbers: the same seed gives the same run on every machine. */

export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1
  }

  /** 32 bits. (mulberry32) */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }

  /** 0 … limit - 1 */
  below(limit: number): number {
    return this.word() % limit
  }

  chance(probability: number): boolean {
    return this.word() / 0x1_0000_0000 < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(length)
    for (let i = 0; i < length; i++) bytes[i] = this.word()
    return bytes
  }
}

/** Numbers at which programs go wrong. */
export const EDGES = [
  0, 1, 2, 7, 8, 9, 10, 11, 12, 127, 128, 255, 256, 1023, 1024, 3071, 3072, 3073, 4095, 4096, 4097, 0x7fff,
  0x8000, 0xffff, 0x10000, 0x80000, 0x80001, 0x7fffffff, 0x80000000, 0xffffffff,
]

/** `bytes`, damaged in one to three ways. */
export function mutate(random: Random, bytes: Buffer): Buffer {
  let result: Buffer = Buffer.from(bytes)
  for (let i = 1 + random.below(3); i > 0; i--) result = mutateOnce(random, result)
  return result
}

function mutateOnce(random: Random, bytes: Buffer): Buffer {
  const at = random.below(bytes.length + 1)
  const inside = bytes.length === 0 ? 0 : random.below(bytes.length)
  switch (random.below(8)) {
    case 0: // one bit
      if (bytes.length > 0) bytes[inside]! ^= 1 << random.below(8)
      return bytes
    case 1: // one byte
      if (bytes.length > 0) bytes[inside] = random.word()
      return bytes
    case 2: // cut off
      return bytes.subarray(0, at)
    case 3: // more at the end
      return Buffer.concat([bytes, random.bytes(1 + random.below(64))])
    case 4: // more in between
      return Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(16)), bytes.subarray(at)])
    case 5: // less in between
      return Buffer.concat([
        bytes.subarray(0, at),
        bytes.subarray(Math.min(bytes.length, at + 1 + random.below(16))),
      ])
    case 6: // a number at the edge, big- or little-endian
      if (inside + 4 <= bytes.length) {
        if (random.chance(0.5)) bytes.writeUInt32BE(random.pick(EDGES), inside)
        else bytes.writeUInt32LE(random.pick(EDGES), inside)
      }
      return bytes
    default: // a piece twice
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(inside)])
  }
}
