/** The place of a TPM's state, kept from every swtpm as long as something is changed there. */
import { closeSync, realpathSync } from 'node:fs'
import { SwtpmError } from '../../../system/errors.ts'
import { writerOf } from '../../../system/file-in-use.ts'
import { openState } from '../../../tpm/state/state-location.ts'
import type { Place } from '../../../tpm/state/stored/stored-tpm.ts'

/**
 * @param use is given the directory or the linear file
 * @throws SwtpmError SWTPM_ERR_STATE_LOCKED: a TPM runs there
 */
export async function whileLocked<T>({ kind, path }: Place, use: (fd: number) => T | Promise<T>): Promise<T> {
  const { fd, lock } = openState(
    { kind: kind === 'dir' ? 'dir' : 'linear', path, lock: true },
    { sync: true },
  )
  try {
    await lock.lock()
    if (kind === 'linear') requireUnused(path, fd)
    return await use(fd)
  } finally {
    lock.unlock()
    closeSync(fd)
  }
}

/** A TPM on a linear file does not lock it by default. */
function requireUnused(path: string, fd: number): void {
  const pid = writerOf(realpathSync(path), fd)
  if (pid === undefined) return
  throw new SwtpmError('SWTPM_ERR_STATE_LOCKED', `Cannot lock state file "${path}": in use by process ${pid}`)
}
