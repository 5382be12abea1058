/** Makes TPMs for programs. */
import { Session } from '../serve/session.ts'
import { log } from '../system/log.ts'
import { configOf, type TpmOptions } from './options.ts'
import { type SharedSpawner, shareSpawner } from './spawner.ts'
import { statePlace } from './state-place.ts'
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
  const place = await statePlace(options)
  let spawner: SharedSpawner | undefined
  let session: Session | undefined
  try {
    spawner = await shareSpawner()
    session = Session.open(
      { ...config, state: place.location },
      { spawner: spawner.spawner, pid: process.pid, staysUnplugged: true },
      '',
    )
    await session.openTraces()
    await session.equipEngine()
    await session.powerOn()
    const scripting = session.script
    if (scripting === undefined) throw new TypeError('a TPM without scripts')
    return new Tpm({ config, session, scripting, spawner, place })
  } catch (error) {
    await session?.end(1)
    await spawner?.release()
    await place.release()
    throw error
  }
}
