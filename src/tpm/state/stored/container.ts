/**
 * The container of a stored state: a header of 10 bytes, then fields of tag, length and value; in version 1 the bare payload.
 * The same checks as in the engine, whose drawing of the layout this follows.
 * @see native/state/blob.h
 */
import {
  BLOB_FLAG,
  BLOB_HEADER_BYTES,
  BLOB_MIN_VERSION,
  type BLOB_TAG,
  BLOB_VERSION,
} from '../../../../contract/state-format.ts'
import { damaged } from './state-fault.ts'

const FIELD_HEADER_BYTES = 6
const MIN_VERSION_AT = 1
/** Marks a file whose newest state is in the journal: a version that no reader knows. */
const OUTDATED_MIN_VERSION = BLOB_VERSION + 1
const KNOWN_FLAGS = Object.values(BLOB_FLAG).reduce<number>((all, flag) => all | flag, 0)

export interface ContainerHeader {
  readonly version: number
  readonly minimumVersion: number
  /** BLOB_FLAG */
  readonly flags: number
}

export interface Container extends ContainerHeader {
  readonly payload: Buffer
}

export type BlobTag = (typeof BLOB_TAG)[keyof typeof BLOB_TAG]

/** @throws StateFault `damaged` */
export function readContainer(blob: Buffer): Container {
  if (blob.length < BLOB_HEADER_BYTES)
    throw damaged(`its ${blob.length} bytes are too few for a header of ${BLOB_HEADER_BYTES}`)
  const version = blob.readUInt8(0)
  const minimumVersion = blob.readUInt8(MIN_VERSION_AT)
  const headerBytes = blob.readUInt16BE(2)
  const flags = blob.readUInt16BE(4)
  const totalBytes = blob.readUInt32BE(6)
  if (totalBytes !== blob.length)
    throw damaged(`its header says ${totalBytes} bytes, there are ${blob.length}`)
  if (version < 1 || version > BLOB_VERSION || minimumVersion < 1 || minimumVersion > version)
    throw damaged(`its version ${version} (readable from ${minimumVersion} on) is not supported`)
  if (headerBytes !== BLOB_HEADER_BYTES)
    throw damaged(`its header size is ${headerBytes} instead of ${BLOB_HEADER_BYTES}`)
  if ((flags & ~KNOWN_FLAGS) !== 0 || hasSizeWithoutKey(flags))
    throw damaged(`its flags 0x${flags.toString(16)} are not any that swtpm writes`)
  const container = { version, minimumVersion, flags, payload: blob.subarray(BLOB_HEADER_BYTES) }
  if (version > 1) fieldsOf(container.payload)
  return container
}

const hasSizeWithoutKey = (flags: number): boolean =>
  ((flags & BLOB_FLAG.FILE_KEY_256) !== 0 && (flags & BLOB_FLAG.ENCRYPTED) === 0) ||
  ((flags & BLOB_FLAG.MIGRATION_KEY_256) !== 0 && (flags & BLOB_FLAG.MIGRATION_ENCRYPTED) === 0)

/** By tag; of a tag that is there twice the first. @throws StateFault `damaged`: they do not end where the payload ends */
export function fieldsOf(payload: Buffer): ReadonlyMap<number, Buffer> {
  const fields = new Map<number, Buffer>()
  for (let at = 0; at < payload.length; ) {
    const start = at + FIELD_HEADER_BYTES
    const length = start <= payload.length ? payload.readUInt32BE(at + 2) : 0
    if (start + length > payload.length)
      throw damaged(`a field that begins at byte ${at + BLOB_HEADER_BYTES} runs beyond its end`)
    const tag = payload.readUInt16BE(at)
    if (!fields.has(tag)) fields.set(tag, payload.subarray(start, start + length))
    at = start + length
  }
  return fields
}

export function makeField(tag: BlobTag, value: Buffer): Buffer {
  const header = Buffer.alloc(FIELD_HEADER_BYTES)
  header.writeUInt16BE(tag, 0)
  header.writeUInt32BE(value.length, 2)
  return Buffer.concat([header, value])
}

export function makeContainer(flags: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(BLOB_HEADER_BYTES)
  header.writeUInt8(BLOB_VERSION, 0)
  header.writeUInt8(BLOB_MIN_VERSION, MIN_VERSION_AT)
  header.writeUInt16BE(BLOB_HEADER_BYTES, 2)
  header.writeUInt16BE(flags, 4)
  header.writeUInt32BE(BLOB_HEADER_BYTES + payload.length, 6)
  return Buffer.concat([header, payload])
}

/** The newest state is in the journal beside the file. */
export const isMarkedOutdated = (blob: Buffer): boolean =>
  blob.length >= BLOB_HEADER_BYTES &&
  blob[0] === BLOB_VERSION &&
  blob[MIN_VERSION_AT] === OUTDATED_MIN_VERSION

/** The same state without the mark. */
export function unmarked(blob: Buffer): Buffer {
  const copy = Buffer.from(blob)
  copy[MIN_VERSION_AT] = BLOB_MIN_VERSION
  return copy
}
