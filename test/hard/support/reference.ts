/** Debian's swtpm on a state that ours has left, to see what an implementation that knows no journal makes of it. */

import assert from 'node:assert/strict'
import { cpSync, existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { RawConnection } from '../../support/raw-connection.ts'
import { type Cleanup, REFERENCE_SWTPM, Swtpm, temporaryDirectory } from '../../support/swtpm.ts'
import { TpmClient } from '../../support/tpm-client.ts'
import { waitFor } from '../../support/wait.ts'
import { NV } from './engine-tpm.ts'

/** Why there is nothing to compare with, or false. */
export const noReference = existsSync(REFERENCE_SWTPM)
  ? false
  : `${REFERENCE_SWTPM} is missing: apt-get install swtpm`

/** Starts it on a copy of `directory`. @returns the number in the NV index, or what it said instead of starting */
export async function referenceNumber(t: Cleanup, directory: string): Promise<number | string> {
  const nv = NV['2']
  const copy = temporaryDirectory(t)
  for (const name of readdirSync(directory)) cpSync(join(directory, name), join(copy, name))
  const data = join(copy, 'data')
  const args = ['socket', '--tpm2', '--flags', 'startup-clear', '--tpmstate', `dir=${copy}`]
  const swtpm = new Swtpm([...args, '--server', `type=unixio,path=${data}`], { program: REFERENCE_SWTPM })
  t.after(() => swtpm.stop('SIGKILL'))
  const connection = await waitFor(
    async () => (swtpm.running ? RawConnection.open(data).catch(() => undefined) : 'ended'),
    { what: 'the connection' },
  )
  if (!(connection instanceof RawConnection)) {
    await swtpm.exited
    return `${swtpm.stdout}${swtpm.stderr}`
  }
  try {
    return nv.sequence(await new TpmClient(connection).ask(nv.read))
  } catch (error) {
    // It listens before it looks at its state.
    if (!/the connection ended|EPIPE|ECONNRESET/.test((error as Error).message)) throw error
    assert.equal(await swtpm.exited, 1)
    return `${swtpm.stdout}${swtpm.stderr}`
  } finally {
    const ended = swtpm.stop('SIGKILL')
    connection.close()
    await ended
  }
}
