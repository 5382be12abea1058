/** The process that starts the engines of all TPMs of this process. It is there while there are any. */
import type { Spawner } from '../engine-client/channel/spawner.ts'
import { startSpawner } from '../serve/spawners.ts'

let users = 0
let spawner: Promise<Spawner> | undefined

export interface SharedSpawner {
  readonly spawner: Spawner
  /** Resolves when the process has ended, if this was its last user. */
  release(): Promise<void>
}

/** @throws SwtpmError SWTPM_ERR_ENGINE_START */
export async function shareSpawner(): Promise<SharedSpawner> {
  users++
  spawner ??= startSpawner({ daemonize: false, seccomp: 'kill' })
  const shared = spawner
  let released = false
  return {
    spawner: await shared,
    async release() {
      if (released) return
      released = true
      if (--users > 0) return
      spawner = undefined
      await (await shared).close()
    },
  }
}
