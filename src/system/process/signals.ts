/** What signals make a program do that serves TPMs. */

export interface SignalHandlers {
  end(): void
  /** The end was asked for again: it is not to wait for anything. */
  hurry(): void
  replaceEngines(): void
}

export function onSignals({ end, hurry, replaceEngines }: SignalHandlers): void {
  let asked = false
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (asked) hurry()
      else end()
      asked = true
    })
  }
  // A terminal that closes may send it twice.
  process.on('SIGHUP', end)
  process.on('SIGUSR2', replaceEngines)
  // Without a handler, Node opens its debugger on SIGUSR1, for every user of the machine.
  process.on('SIGUSR1', () => {})
}
