/** The files of the sockets that this process listens on, by what was made and not by their names. */
import { lstatSync, unlinkSync } from 'node:fs'
import { removeAtEnd } from '../remove-at-end.ts'

/** Absolute path → what is there, as long as it is ours. */
const made = new Map<string, string>()

/** @param path absolute, of a socket that has just been made */
export function noteSocketFile(path: string): void {
  const identity = identityOf(path)
  if (identity !== undefined) made.set(path, identity)
}

/** Removes the socket file that a killed process has left. A file of another kind is kept. @returns false if it is in use by us */
export function removeStaleSocketFile(path: string): boolean {
  const identity = identityOf(path)
  if (identity === undefined) return true
  if ([...made.values()].includes(identity)) return false
  unlinkSync(path)
  return true
}

/** Removes a socket file of ours, and nothing that another process has put in its place. */
export function removeSocketFile(path: string): void {
  const identity = made.get(path)
  made.delete(path)
  // An earlier supervisor of this TPM has made it: its name is all that is known.
  if (identity === undefined || identity === identityOf(path)) removeAtEnd(path)
}

function identityOf(path: string): string | undefined {
  const status = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return status?.isSocket() ? `${status.dev}:${status.ino}` : undefined
}
