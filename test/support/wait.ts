/** Waiting for a condition instead of sleeping. */
import { setTimeout as delay } from 'node:timers/promises'

const POLL_MS = 10
/** An emulated processor on a busy machine takes its time. */
const PATIENCE_MS = process.env.SWTPM_VM ? 120_000 : 20_000

export interface WaitOptions {
  /** What is waited for, for the failure's text. */
  readonly what: string
  readonly timeoutMs?: number
}

/** Resolves with the first true value that `condition` gives. @throws naming what was awaited */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { what, timeoutMs = PATIENCE_MS }: WaitOptions,
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`)
    await delay(POLL_MS)
  }
}
