/**
 * The header of a linear state file: it says where the state blobs are. Numbers are little-endian.
 * @see native/state/linear_store.cc, which reads and writes it while a TPM runs
 */
import type { TpmVersion } from '../../../../contract/engine-options.ts'

export const LINEAR_HEADER_BYTES = 192
const MAGIC = 0x737774706d6c696en // "swtpmlin"
const VERSION = 1
const SLOTS_AT = 12
const SLOT_BYTES = 12
const SLOT_COUNT = 15
/** Blobs begin here: a disk writes a sector as a whole. */
const SECTOR_BYTES = 512

/** The first slots, in the order in which they are in the header. */
export const LINEAR_BLOBS = ['permall', 'volatilestate', 'savestate'] as const

/** Where a blob is; `offset` 0: there is none. */
export interface Slot {
  readonly offset: number
  readonly dataBytes: number
  readonly sectionBytes: number
}

export type LinearHeader =
  | { readonly kind: 'state'; readonly slots: readonly Slot[] }
  /** A TPM's, but for its first bytes. */
  | { readonly kind: 'damaged'; readonly slots: readonly Slot[] }
  /** Nothing has been written here. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'foreign' }

/** @param bytes the first {@link LINEAR_HEADER_BYTES} of the file, or less of a shorter file */
export function readLinearHeader(bytes: Buffer): LinearHeader {
  if (bytes.every((byte) => byte === 0)) return { kind: 'empty' }
  if (bytes.length < LINEAR_HEADER_BYTES) return { kind: 'foreign' }
  if (bytes[8] !== VERSION || bytes.readUInt16LE(10) !== LINEAR_HEADER_BYTES) return { kind: 'foreign' }
  const slots = Array.from({ length: SLOT_COUNT }, (_, index) => {
    const at = SLOTS_AT + index * SLOT_BYTES
    return {
      offset: bytes.readUInt32LE(at),
      dataBytes: bytes.readUInt32LE(at + 4),
      sectionBytes: bytes.readUInt32LE(at + 8),
    }
  })
  return { kind: bytes.readBigUInt64LE(0) === MAGIC ? 'state' : 'damaged', slots }
}

export function linearHeader(slots: readonly Slot[]): Buffer {
  const bytes = Buffer.alloc(LINEAR_HEADER_BYTES)
  bytes.writeBigUInt64LE(MAGIC, 0)
  bytes[8] = VERSION
  bytes.writeUInt16LE(LINEAR_HEADER_BYTES, 10)
  for (const [index, slot] of slots.entries()) {
    const at = SLOTS_AT + index * SLOT_BYTES
    bytes.writeUInt32LE(slot.offset, at)
    bytes.writeUInt32LE(slot.dataBytes, at + 4)
    bytes.writeUInt32LE(slot.sectionBytes, at + 8)
  }
  return bytes
}

/**
 * Where blobs of these sizes go, one after the other, if the blobs in `used` are to stay where they are.
 * @param limit the size of a device
 * @returns undefined when there is no room
 */
export function placeBeside(
  used: readonly Slot[],
  sizes: readonly number[],
  limit: number,
): Slot[] | undefined {
  const slots: Slot[] = []
  const taken = used.filter(({ offset }) => offset !== 0)
  for (const size of sizes) {
    if (size === 0) {
      slots.push({ offset: 0, dataBytes: 0, sectionBytes: 0 })
      continue
    }
    const offset = freeSpace([...taken, ...slots.filter(({ offset }) => offset !== 0)], size, limit)
    if (offset === undefined) return undefined
    slots.push({ offset, dataBytes: size, sectionBytes: size })
  }
  return slots.map((slot) => ({ ...slot, sectionBytes: sectionOf(slot, slots, limit) }))
}

/** The first place that is large enough. */
function freeSpace(taken: readonly Slot[], size: number, limit: number): number | undefined {
  const sorted = [...taken].sort((a, b) => a.offset - b.offset)
  let start = roundUp(LINEAR_HEADER_BYTES)
  for (const { offset, dataBytes } of sorted) {
    if (start + size <= offset) return start
    start = Math.max(start, roundUp(offset + dataBytes))
  }
  return start + size <= limit ? start : undefined
}

/** Up to the next section; the last one has a power of two, as far as there is room. */
function sectionOf(slot: Slot, all: readonly Slot[], limit: number): number {
  if (slot.offset === 0) return 0
  const next = Math.min(...all.map(({ offset }) => offset).filter((offset) => offset > slot.offset))
  if (next !== Number.POSITIVE_INFINITY) return next - slot.offset
  return Math.min(2 ** Math.ceil(Math.log2(slot.dataBytes)), limit - slot.offset)
}

const roundUp = (bytes: number): number => Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES

const BLOB_HEADER_BYTES = 10
const BLOB_ENCRYPTED = 1
const TAG_DATA = 1
const TAG_BYTES = 6
/** Of the permanent state that libtpms writes for a TPM 2.0. */
const TPM2_MAGIC = 0xab364723
/** Begins that of a TPM 1.2. */
const TPM12_TAG = 0x0001

/**
 * Of which version the permanent state is; undefined when it is encrypted or not readable.
 * @param blob its first bytes, big-endian: the header of a state, a tag, what libtpms has written
 */
export function versionOfBlob(blob: Buffer): TpmVersion | undefined {
  const data = blob.subarray(BLOB_HEADER_BYTES + TAG_BYTES)
  if (data.length < 6 || (blob.readUInt16BE(4) & BLOB_ENCRYPTED) !== 0) return undefined
  if (blob.readUInt16BE(BLOB_HEADER_BYTES) !== TAG_DATA) return undefined
  if (data.readUInt32BE(2) === TPM2_MAGIC) return '2'
  return data.readUInt16BE(0) === TPM12_TAG ? '1.2' : undefined
}
