/** The state blobs of a linear state file, read and written without a TPM. */
import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs'
import { readAt, writeAt } from '../../../system/io/positioned-io.ts'
import {
  LINEAR_BLOBS,
  LINEAR_HEADER_BYTES,
  linearHeader,
  placeBeside,
  readLinearHeader,
  type Slot,
} from './linear-header.ts'

const READ_ATTEMPTS = 20

/**
 * The permanent, volatile and saved state as they were at one moment, also while a TPM stores; empty where there is none.
 * @throws the system's error
 */
export function blobsOf(fd: number): Buffer[] {
  for (let tries = 1; ; tries++) {
    const [blobs, again] = [blobsNow(fd), blobsNow(fd)]
    if (blobs.every((blob, index) => again[index]?.equals(blob))) return blobs
    if (tries === READ_ATTEMPTS) throw new Error('the TPM there stores without a pause')
  }
}

function blobsNow(fd: number): Buffer[] {
  const header = readLinearHeader(readAt(fd, 0, LINEAR_HEADER_BYTES))
  const slots: readonly Slot[] = 'slots' in header ? header.slots : []
  return LINEAR_BLOBS.map((_, index) => {
    const { offset = 0, dataBytes = 0 } = slots[index] ?? {}
    return offset === 0 ? Buffer.alloc(0) : readAt(fd, offset, dataBytes)
  })
}

/** A new file with these blobs. @throws the system's error */
export function writeLinearFile(path: string, blobs: readonly Buffer[]): void {
  const { O_RDWR, O_CREAT, O_EXCL } = constants
  const fd = openSync(path, O_RDWR | O_CREAT | O_EXCL, 0o640)
  try {
    const sizes = blobs.map(({ length }) => length)
    const slots = placeBeside([], sizes, Number.MAX_SAFE_INTEGER) ?? []
    writeBlobs(fd, blobs, slots)
    writeAt(fd, 0, linearHeader(slots))
  } finally {
    closeSync(fd)
  }
}

export function writeBlobs(fd: number, blobs: readonly Buffer[], slots: readonly Slot[]): void {
  for (const [index, blob] of blobs.entries()) writeAt(fd, slots[index]?.offset ?? 0, blob)
  growTo(fd, Math.max(...slots.map(({ offset, sectionBytes }) => offset + sectionBytes)))
}

/** Other implementations expect a file to contain whole sections. */
function growTo(fd: number, bytes: number): void {
  const stat = fstatSync(fd)
  if (stat.isFile() && stat.size < bytes) ftruncateSync(fd, bytes)
}
