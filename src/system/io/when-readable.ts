/** Waits until a descriptor has something to read, or a listening socket a client, and reads nothing. */
import { noteActivity } from '../activity.ts'
import { guardedCallback } from '../guard.ts'
import { native } from '../native/load.ts'
import { READABLE } from '../native/types.ts'

/** Calls `act` once. @returns ends the waiting, which has to be done before the descriptor is closed */
export function whenReadable(fd: number, act: () => void): () => void {
  const onReady = (): void => {
    noteActivity()
    poller.close()
    act()
  }
  const poller = new native.Poller(fd, guardedCallback(onReady))
  poller.start(READABLE)
  return () => {
    poller.close()
  }
}
