/** Times of rules: `900ms`, `2s`, `50us`. */
import type { Exchange } from './exchange.ts'

const UNIT_MS = { us: 0.001, ms: 1, s: 1000 } as const
/** setTimeout takes no more. */
export const LONGEST_MS = 2 ** 31 - 1

/** @returns ms; undefined where the text is no time */
export function parseTime(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(us|ms|s)$/.exec(text)
  if (match === null) return undefined
  const ms = Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]
  return ms <= LONGEST_MS ? ms : undefined
}

/** The command was cancelled, or nobody waits for its response: the reason is that of the signal. */
export class Aborted extends Error {
  constructor(signal: AbortSignal) {
    super(String(signal.reason))
    this.name = 'Aborted'
  }
}

/**
 * Waits so long, or for ever.
 * @param enough ends the waiting before its time
 * @throws Aborted as soon as nobody waits for the response any more, or the command is cancelled
 */
export function wait(
  { signal }: Pick<Exchange, 'signal'>,
  ms: number | undefined,
  enough?: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = ms === undefined ? undefined : setTimeout(() => end(resolve), Math.min(ms, LONGEST_MS))
    const abort = (): void => end(() => reject(new Aborted(signal)))
    const stop = (): void => end(resolve)
    function end(settle: () => void): void {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
      enough?.removeEventListener('abort', stop)
      settle()
    }
    if (signal.aborted) return abort()
    if (enough?.aborted) return stop()
    signal.addEventListener('abort', abort)
    enough?.addEventListener('abort', stop)
  })
}
