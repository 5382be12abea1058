/** Finds the end of a command's output in a channel that itself never ends. */

/**
 * Passes a stream on up to a token: "\0" and the given text. The guest writes it when the command has ended.
 * @returns fulfilled when the token has come and all before it is written, or the stream has ended
 */
export function cutAtToken(
  source: NodeJS.ReadableStream,
  token: string,
  sink: NodeJS.WritableStream,
): Promise<void> {
  const mark = Buffer.from(`\0${token}`)
  let held: Buffer = Buffer.alloc(0)
  return new Promise((resolve) => {
    let found = false
    const pass = (bytes: Buffer) => {
      if (bytes.length === 0 || sink.write(bytes)) return
      source.pause()
      sink.once('drain', () => source.resume())
    }
    const finish = (rest: Buffer) => {
      if (found) return
      found = true
      sink.write(rest, () => resolve())
    }
    source.on('data', (chunk: Buffer) => {
      if (found) return
      const bytes = Buffer.concat([held, chunk])
      const end = bytes.indexOf(mark)
      if (end >= 0) return finish(bytes.subarray(0, end))
      // The token may be split over two chunks: keep back what could be its beginning.
      const keep = beginningOf(mark, bytes)
      held = bytes.subarray(keep)
      pass(bytes.subarray(0, keep))
    })
    source.on('close', () => finish(held))
  })
}

/** Where a beginning of the mark starts at the end of the bytes. */
function beginningOf(mark: Buffer, bytes: Buffer): number {
  for (let start = Math.max(0, bytes.length - mark.length + 1); start < bytes.length; start++) {
    if (mark.subarray(0, bytes.length - start).equals(bytes.subarray(start))) return start
  }
  return bytes.length
}
