/** What signals make a program do that serves TPMs. They are sent to the keeper, which hands them on. */
import { constants } from 'node:os'
import type { Keeper } from './keeper.ts'

export interface SignalHandlers {
  end(): void
  /** The end was asked for again: it is not to wait for anything. */
  hurry(): void
  replaceEngines(): void
}

export function onSignals(keeper: Keeper, { end, hurry, replaceEngines }: SignalHandlers): void {
  let asked = false
  keeper.listen({
    signal(number) {
      switch (number) {
        case constants.signals.SIGTERM:
        case constants.signals.SIGINT:
          if (asked) hurry()
          else end()
          asked = true
          break
        // A terminal that closes may send it twice.
        case constants.signals.SIGHUP:
          end()
          break
        case constants.signals.SIGUSR2:
          replaceEngines()
          break
      }
    },
  })
  // A service manager sends them to all processes of the service. Without a handler, Node opens its debugger on SIGUSR1, for
  // every user of the machine.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const)
    process.on(signal, () => {})
}
