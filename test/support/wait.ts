/** Waiting for a condition instead of sleeping. */
import { setTimeout as delay } from 'node:timers/promises'

const POLL_MS = 10
/** Only a failure takes as long: an emulated processor on a busy machine needs many seconds to start a program. */
const DEFAULT_TIMEOUT_MS = 60_000

export interface WaitOptions {
  /** What is waited for, for the failure's text. */
  readonly what: string
  readonly timeoutMs?: number
}

/** Resolves with the first true value that `condition` gives. @throws naming what was awaited */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { what, timeoutMs = DEFAULT_TIMEOUT_MS }: WaitOptions,
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`)
    await delay(POLL_MS)
  }
}
