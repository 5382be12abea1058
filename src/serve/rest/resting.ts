/**
 * Lets this process end while nothing is to be decided. The keeper starts it again, with what it leaves in a {@link RestRecord}.
 * @see docs/design/0007-sleeping-supervisor.md
 */
import { MAX_KEEPER_MESSAGE_BYTES } from '../../../contract/keeper.ts'
import { type Keeper, words } from '../../keeper/keeper.ts'
import { onActivity } from '../../system/activity.ts'
import { log } from '../../system/log.ts'
import type { SwtpmConfig } from '../config.ts'
import { COMMAND_BYTES } from '../engine-options.ts'
import type { Session } from '../session.ts'

/** Nothing has happened for so long. A client that has just started asks again within this time. */
const REST_AFTER_MS = 10_000
/** Before the first INIT: a virtual machine is being put together. */
const REST_BEFORE_INIT_MS = 30_000
/** Until it is looked at again, when something was under way. */
const LOOK_AGAIN_MS = 20
/** For tests: another time, in milliseconds, or `never`. */
const REST_VARIABLE = 'SWTPM_REST_MS'

/** Call it when the TPM is served. */
export function restWhenIdle(keeper: Keeper, session: Session, config: SwtpmConfig): void {
  if (!mayRest(config)) return
  const wished = process.env[REST_VARIABLE]
  if (wished === 'never') return
  const limit = (): number =>
    /^\d+$/.test(wished ?? '') ? Number(wished) : session.hasBeenOn ? REST_AFTER_MS : REST_BEFORE_INIT_MS
  let timer: NodeJS.Timeout
  let heard = 0
  const wait = (ms: number): void => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      // What this process was woken for may not have been read yet. It has by then.
      const before = heard
      setImmediate(() => {
        if (heard === before) attempt()
      })
    }, ms)
  }
  const attempt = (): void => {
    if (session.ending || rest(keeper, session)) return
    wait(Math.max(limit(), LOOK_AGAIN_MS))
  }
  onActivity(() => {
    heard++
    wait(limit())
  })
  wait(limit())
}

/**
 * Not where the next Node could not go on: its files are outside a new root directory. And not where what passes is written down
 * here. Readers of --sysfs are answered here, too.
 */
export const mayRest = (config: SwtpmConfig): boolean =>
  config.chroot === undefined &&
  config.sysfs === undefined &&
  config.pcap === undefined &&
  config.trace === undefined &&
  config.record === undefined &&
  !log.isEnabled(COMMAND_BYTES)

/** Ends this process, where that can be. @returns false where it cannot at the moment */
function rest(keeper: Keeper, session: Session): boolean {
  const record = session.leave()
  if (record === undefined) return false
  const { paths, bytes, watchedCount, fds } = record
  const message = Buffer.concat([words(keeper.eventsSeen, watchedCount, paths.length), paths, bytes])
  // A profile may be long.
  if (message.length > MAX_KEEPER_MESSAGE_BYTES) return false
  const { value } = keeper.ask('REST', record.flags, message, fds)
  if (value < 0) return false
  // At once: what comes from now on is the next one's.
  process.exit(0)
}
