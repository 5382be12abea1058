/** What the tests of one describe() share. */
import { after } from 'node:test'
import type { Cleanup } from './swtpm.ts'

/**
 * To be called in the body of a describe(). What is given to `after()` runs behind the last test of the suite, the newest
 * first: a connection is closed before its TPM is stopped, and a TPM is stopped before its directory is removed.
 */
export function suiteCleanup(): Cleanup {
  const undos: (() => unknown)[] = []
  after(async () => {
    for (const undo of undos.splice(0).reverse()) await undo()
  })
  return { after: (undo) => void undos.push(undo) }
}
