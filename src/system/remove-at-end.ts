/** Removes what a TPM has made for the time that it serves. */
import { unlinkSync } from 'node:fs'
import { log } from './log.ts'
import { reasonOf } from './reason.ts'

/** A file that has been removed already is none to speak of; one that is left behind is worth a line in the log. */
export function removeAtEnd(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn(`Cannot remove "${path}": ${reasonOf(error)}`)
  }
}
