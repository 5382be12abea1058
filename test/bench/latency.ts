/** How long commands take: small batches of every contestant in turn, so that a busy moment hits all alike. */
import { BenchClient } from './client.ts'
import type { MeasuredCommand } from './commands.ts'
import { type Contestant, ECHO, type Served, type ServeOptions, type Transport } from './contestants.ts'
import { type Cost, costOf, sumOf } from './process-cost.ts'
import { type Spread, spread } from './statistics.ts'

export interface Measurement {
  readonly contestant: string
  readonly ns: Spread
  /** Of the server's processes, for each command; not of a limit inside the client. */
  readonly perCommand?: { readonly cpuNs: number; readonly switches: number; readonly preemptions: number }
  /** Response code of the last command; an echo's means nothing. */
  readonly code: number
}

export interface LatencyResult {
  readonly transport: Transport
  readonly command: string
  readonly tpm: '2' | '1.2'
  /** It went over the control channel instead. */
  readonly channel?: 'control'
  readonly measurements: readonly Measurement[]
}

/** One contestant's TPM, and a client that is connected to it. */
interface Entrant {
  readonly contestant: Contestant
  readonly served: Served
  readonly client: BenchClient
}

export interface LatencyOptions extends ServeOptions {
  /** All for the same kind of TPM, and on the same channel. */
  readonly commands: readonly MeasuredCommand[]
  readonly contestants: readonly Contestant[]
  /** Whether this one is measured with that command. */
  readonly takesPart: (contestant: Contestant, command: MeasuredCommand) => boolean
  readonly rounds: number
  readonly progress: (command: MeasuredCommand) => void
}

export async function measureLatencies(options: LatencyOptions): Promise<LatencyResult[]> {
  const { commands, takesPart, rounds, transport, progress } = options
  const entrants: Entrant[] = []
  const results: LatencyResult[] = []
  try {
    for (const contestant of options.contestants) {
      if (!commands.some((command) => takesPart(contestant, command))) continue
      const entrant = await enter(contestant, options)
      if (entrant) entrants.push(entrant)
    }
    for (const command of commands) {
      progress(command)
      const { name, tpm, channel } = command
      const racing = entrants.filter(({ contestant }) => takesPart(contestant, command))
      const measurements = await race(racing, command, rounds)
      results.push({ transport, command: name, tpm, ...(channel && { channel }), measurements })
    }
    return results
  } finally {
    for (const { client, served } of entrants) {
      client.close()
      await served.stop()
    }
  }
}

async function enter(contestant: Contestant, options: LatencyOptions): Promise<Entrant | undefined> {
  const { commands, pin } = options
  const served = await contestant.serve(options)
  if (served === undefined) return undefined
  const { address, control } = served
  const verbs = commands.some(({ channel }) => channel === 'control')
  const cancels = commands.some(({ batch }) => batch.cancel?.command)
  const client = await BenchClient.connect(verbs ? required(control) : address, {
    pin,
    ...(cancels && { control: required(control) }),
  })
  return { contestant, served, client }
}

function required(control: string | undefined): string {
  if (control === undefined) throw new Error('this contestant has no control channel')
  return control
}

async function race(
  entrants: readonly Entrant[],
  command: MeasuredCommand,
  rounds: number,
): Promise<Measurement[]> {
  for (const { client } of entrants) for (const step of command.before ?? []) await client.do(step)
  const runs = entrants.map((entrant) => ({ entrant, ns: [] as number[], costs: [] as Cost[], code: 0 }))
  // The first round only warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const run of runs) {
      const { result, cost } = await runBatch(run.entrant, command)
      run.code = result.code
      if (round === 0) continue
      run.ns.push(...result.ns)
      run.costs.push(cost)
    }
  }
  return runs.map(({ entrant, ns, costs, code }) => {
    const { cpuNs, voluntarySwitches, involuntarySwitches } = sumOf(costs)
    const each = (total: number): number => total / ns.length
    return {
      contestant: entrant.contestant.name,
      ns: spread(ns),
      ...(entrant.served.pids.length > 0 && {
        perCommand: {
          cpuNs: each(cpuNs),
          switches: each(voluntarySwitches),
          preemptions: each(involuntarySwitches),
        },
      }),
      code,
    }
  })
}

/** @throws when the TPM answers with another code than the command should have */
async function runBatch({ contestant, served, client }: Entrant, command: MeasuredCommand) {
  const { name, batch, perBatch, codes = [0] } = command
  const outcome = await costOf(served.pids, () => client.run({ ...batch, count: perBatch }))
  const { code } = outcome.result
  if (contestant !== ECHO && !codes.includes(code)) {
    throw new Error(`${contestant.name} answered ${name} with 0x${code.toString(16)}`)
  }
  return outcome
}
