/**
 * Many connections over one channel between guest and host: lines of JSON, each about one connection. The guest opens them, and
 * numbers them anew each time.
 */
export type Frame =
  | { readonly open: number }
  /** `bytes` in base64. */
  | { readonly on: number; readonly bytes: string }
  /** Nothing more comes from there; answers may still go there. */
  | { readonly end: number }
  | { readonly close: number }

export const encodeFrame = (frame: Frame): string => `${JSON.stringify(frame)}\n`

/** Takes a channel's bytes and gives its frames. What is no frame is left out: a console may have written there. */
export class FrameReader {
  #partial = ''
  readonly #take: (frame: Frame) => void

  constructor(take: (frame: Frame) => void) {
    this.#take = take
  }

  add(chunk: Buffer): void {
    const lines = (this.#partial + chunk.toString('latin1')).split('\n')
    this.#partial = lines.pop() ?? ''
    for (const line of lines) {
      const frame = frameIn(line)
      if (frame !== undefined) this.#take(frame)
    }
  }
}

function frameIn(line: string): Frame | undefined {
  try {
    const frame: unknown = JSON.parse(line)
    return typeof frame === 'object' && frame !== null ? (frame as Frame) : undefined
  } catch {
    return undefined
  }
}
