/** What signals ask a program for that serves TPMs. */

export function onSignals({ end, replaceEngines }: { end(): void; replaceEngines(): void }): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end)
  process.on('SIGUSR2', replaceEngines)
  // Node would open its debugger, and to every user of the machine.
  process.on('SIGUSR1', () => {})
}
