/**
 * Lets the terminal go, in a program that serves in the background: {@link Keeper} has its own process for that, and tells the
 * one that the user started when the TPM is ready.
 */
import { closeSync, openSync } from 'node:fs'
import { check } from '../native/check.ts'
import { native } from '../native/load.ts'

/**
 * Call it while there is a /dev/null, which under a new root directory may be missing.
 * @returns what puts it in the place of the terminal
 */
export function prepareToLeaveTerminal(): () => void {
  const nullFd = openSync('/dev/null', 'r+')
  return () => {
    for (const fd of [0, 1, 2]) check(native.replace(fd, nullFd), 'close the terminal')
    closeSync(nullFd)
  }
}
