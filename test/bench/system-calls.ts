/** System calls for each command, which do not depend on how busy the machine is. */
import { BenchClient } from './client.ts'
import type { MeasuredCommand } from './commands.ts'
import type { Contestant, Transport } from './contestants.ts'
import { systemCallsOf } from './process-cost.ts'

export interface SystemCalls {
  readonly contestant: string
  readonly transport: Transport
  readonly command: string
  /** Rounded to hundredths; what is rarer is left out. */
  readonly perCommand: Readonly<Record<string, number>>
}

export async function countSystemCalls(
  contestants: readonly Contestant[],
  transport: Transport,
  command: MeasuredCommand,
  count: number,
): Promise<SystemCalls[]> {
  const results: SystemCalls[] = []
  for (const contestant of contestants) {
    const served = await contestant.serve({ transport, tpm: command.tpm, pin: true })
    if (served === undefined || served.pids.length === 0) continue
    const client = await BenchClient.connect(served.address, { pin: true })
    try {
      if (contestant.program) for (const step of command.before ?? []) await client.do(step)
      await client.run({ ...command.batch, count: 10 })
      const calls = await systemCallsOf(served.pids, () => client.run({ ...command.batch, count }))
      const each = [...calls].map(([name, total]) => [name, Math.round((100 * total) / count) / 100] as const)
      results.push({
        contestant: contestant.name,
        transport,
        command: command.name,
        perCommand: Object.fromEntries(each.filter(([, times]) => times > 0.05).sort()),
      })
    } finally {
      client.close()
      await served.stop()
    }
  }
  return results
}
