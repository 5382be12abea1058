/** How a process has ended, in words. */
import { constants } from 'node:os'

/** @param status its exit status @param signal the number of the signal that killed it, or 0 */
export const howItEnded = (status: number, signal: number): string =>
  signal === 0 ? `it exited with status ${status}` : `it was killed by ${signalName(signal)}`

const signalName = (number: number): string =>
  Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? `signal ${number}`
