/** Makes TPMs for programs. */
import { mkdir } from 'node:fs/promises'
import { Session } from '../serve/session.ts'
import { log } from '../system/log.ts'
import type { StateLocation } from '../tpm/state/state-location.ts'
import { type EphemeralState, ephemeralState } from './ephemeral-state.ts'
import { configOf, type TpmOptions } from './options.ts'
import { shareSpawner } from './spawner.ts'
import { Tpm } from './tpm.ts'

/**
 * Makes a TPM, powered on and started up. `await using` ends it, whatever happens.
 * @throws Error: an option is wrong, the state cannot be used, or the engine cannot be started
 * @example
 * ```js
 * import { createTpm } from 'swtpm'
 *
 * await using tpm = await createTpm()
 * console.log((await tpm.send('80010000000c0000017b0008')).text) // SUCCESS
 * ```
 */
export async function createTpm(options: TpmOptions = {}): Promise<Tpm> {
  if (!log.configured)
    log.configure({
      destination: { kind: 'stderr' },
      level: 1,
      prefix: 'swtpm: ',
      format: 'text',
      problemsOnly: true,
    })
  const config = configOf(options)
  const { state } = options
  if (state !== undefined) await makeDirectory(state)
  const memory = state === undefined ? ephemeralState() : undefined
  const spawner = await shareSpawner()
  let session: Session | undefined
  try {
    session = Session.open(
      { ...config, state: locationOf(state, memory) },
      { spawner: spawner.spawner, pid: process.pid, staysUnplugged: true },
      '',
    )
    await session.equipEngine()
    await session.powerOn()
    const scripting = session.script
    if (scripting === undefined) throw new TypeError('a TPM without scripts')
    return new Tpm({ config, session, scripting, spawner, memory })
  } catch (error) {
    await session?.end(1)
    memory?.close()
    await spawner.release()
    throw error
  }
}

/** Its parent has to be there: a mistyped path makes no tree of folders. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

const locationOf = (directory: string | undefined, memory: EphemeralState | undefined): StateLocation =>
  memory === undefined
    ? { kind: 'dir', path: directory as string, lock: true }
    : { kind: 'linear', path: memory.path, lock: false }
