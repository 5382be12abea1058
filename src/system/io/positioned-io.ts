import { readSync, writeSync } from 'node:fs'

/** Up to `count` bytes from `offset` on; fewer at the end of the file. @throws the system's error */
export function readAt(fd: number, offset: number, count: number): Buffer {
  const bytes = Buffer.alloc(count)
  let length = 0
  while (length < count) {
    const read = readSync(fd, bytes, length, count - length, offset + length)
    if (read === 0) break
    length += read
  }
  return bytes.subarray(0, length)
}

/** @throws the system's error */
export function writeAt(fd: number, offset: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) {
    written += writeSync(fd, bytes, written, bytes.length - written, offset + written)
  }
}
