/** Ends the process after `action` when a signal asks for it. */
export function onTerminatingSignal(action: () => Promise<void>): { release(): void } {
  const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const
  const handler = (signal: NodeJS.Signals): void => {
    const end = (): never => process.exit(128 + signals[signal as keyof typeof signals])
    action().then(end, end)
  }
  const names = Object.keys(signals) as NodeJS.Signals[]
  for (const name of names) process.once(name, handler)
  return {
    release: () => {
      for (const name of names) process.removeListener(name, handler)
    },
  }
}
