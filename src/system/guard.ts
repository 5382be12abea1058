/**
 * Work that nothing waits for, and callbacks of the event loop: what they throw is reported to the guard under which they
 * were started. In a fleet that ends one TPM; without a guard it ends the process, in order.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'

type Guard = (error: unknown) => void

// Made for a fleet alone: it costs every callback a little.
let guards: AsyncLocalStorage<Guard> | undefined

/** Runs `work`. What it starts, now or later in callbacks, is under this guard; what `work` itself throws is the caller's. */
export function underGuard<T>(guard: Guard, work: () => T): T {
  guards ??= new AsyncLocalStorage()
  return guards.run(guard, work)
}

/** Whether there is a guard in this async context. */
export const underSomeGuard = (): boolean => guards?.getStore() !== undefined

/** An error that nobody handles. Throws it again where there is no guard. */
export function escaped(error: unknown): void {
  const guard = guards?.getStore()
  if (guard === undefined) throw error
  guard(error)
}

/** For a promise that nothing waits for. A promise may not be left alone otherwise. */
export function guarded(work: Promise<unknown>): void {
  work.catch(escaped)
}

/** A function for native code to call: it runs in the async context, and under the guard, of now. */
export const guardedCallback = <A extends unknown[]>(
  callback: (...args: A) => void,
): ((...args: A) => void) =>
  AsyncResource.bind((...args: A) => {
    try {
      callback(...args)
    } catch (error) {
      escaped(error)
    }
  })
