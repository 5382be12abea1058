/** Many TPMs at once: the memory that they take, and the commands that they do in a second. */
import { BenchClient } from './client.ts'
import { GET_RANDOM } from './commands.ts'
import type { Contestant, Served } from './contestants.ts'
import { type Memory, memoryOf } from './process-cost.ts'
import { type Spread, spread } from './statistics.ts'

export interface ManyMemory {
  readonly contestant: string
  readonly tpms: number
  readonly bytes: Memory
}

export interface ManyThroughput {
  readonly contestant: string
  readonly tpms: number
  readonly perSecond: Spread
}

/** So many are started at a time. */
const AT_ONCE = 8

async function serveMany(contestant: Contestant, count: number): Promise<Served[] | undefined> {
  const served: Served[] = []
  while (served.length < count) {
    const group = Array.from({ length: Math.min(AT_ONCE, count - served.length) }, () =>
      contestant.serve({ transport: 'unix', tpm: '2', pin: false }),
    )
    if (group.some((one) => one === undefined)) return undefined
    served.push(...(await Promise.all(group as Promise<Served>[])))
  }
  return served
}

const stopAll = (served: readonly Served[]): Promise<unknown> => Promise.all(served.map((one) => one.stop()))

/** After each has answered a command, and rests. */
export async function measureMemory(
  contestants: readonly Contestant[],
  counts: readonly number[],
): Promise<ManyMemory[]> {
  const results: ManyMemory[] = []
  for (const tpms of counts) {
    for (const contestant of contestants) {
      const served = await serveMany(contestant, tpms)
      if (served === undefined) continue
      try {
        for (const { address } of served) {
          const client = await BenchClient.connect(address)
          await client.do(GET_RANDOM.batch.command as Uint8Array)
          client.close()
        }
        await Promise.all(served.map((one) => one.atRest?.()))
        results.push({
          contestant: contestant.name,
          tpms,
          bytes: memoryOf([...new Set(served.flatMap(({ pids }) => pids))]),
        })
      } finally {
        await stopAll(served)
      }
    }
  }
  return results
}

/** Each TPM has a client of its own; all work at the same time, on all processors. */
export async function measureThroughput(
  contestants: readonly Contestant[],
  counts: readonly number[],
  { rounds, commands }: { rounds: number; commands: number },
): Promise<ManyThroughput[]> {
  const results: ManyThroughput[] = []
  for (const tpms of counts) {
    const entered: { name: string; served: Served[]; clients: BenchClient[]; rates: number[] }[] = []
    try {
      for (const contestant of contestants) {
        const served = await serveMany(contestant, tpms)
        if (served === undefined) continue
        const entry = { name: contestant.name, served, clients: [] as BenchClient[], rates: [] }
        entered.push(entry)
        for (const { address } of served) entry.clients.push(await BenchClient.connect(address))
      }
      const count = Math.ceil(commands / tpms)
      for (let round = 0; round <= rounds; round++) {
        for (const { clients, rates } of entered) {
          const start = process.hrtime.bigint()
          await Promise.all(clients.map((client) => client.run({ ...GET_RANDOM.batch, count })))
          const seconds = Number(process.hrtime.bigint() - start) / 1e9
          // The first round only warms up.
          if (round > 0) rates.push((count * tpms) / seconds)
        }
      }
    } finally {
      for (const { served, clients } of entered) {
        for (const client of clients) client.close()
        await stopAll(served)
      }
    }
    for (const { name, rates } of entered) results.push({ contestant: name, tpms, perSecond: spread(rates) })
  }
  return results
}
