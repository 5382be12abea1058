/** What a run measures: parts by name, each in a full and a quick size. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { COMMANDS, cancellation, GET_RANDOM, type MeasuredCommand, NV_WRITE, verbs } from './commands.ts'
import { type Contestant, contestants, ECHO, prepareState, type Transport } from './contestants.ts'
import { fileSystemOf } from './environment.ts'
import { FLEET } from './fleet.ts'
import { measureInGuest } from './guest.ts'
import { measureLatencies } from './latency.ts'
import { measureMemory, measureThroughput } from './many.ts'
import type { Place, PlacedLatency, Results } from './results.ts'
import { measureStartUp } from './start-up.ts'
import { countSystemCalls } from './system-calls.ts'

export const PARTS = [
  'unix',
  'tcp',
  'verbs',
  'cancel',
  'calls',
  'start',
  'memory',
  'throughput',
  'vm',
] as const
export type Part = (typeof PARTS)[number]

export interface Plan {
  readonly parts: readonly Part[]
  readonly quick: boolean
  readonly reference: string | undefined
  readonly progress: (what: string) => void
}

/** What the cost of a disk is seen by. */
const IN_MEMORY = '/dev/shm'

type Found = Pick<Results, 'latencies' | 'systemCalls' | 'startUps' | 'memory' | 'throughput'>

export async function carryOut(plan: Plan): Promise<Found> {
  const { parts, quick, reference, progress } = plan
  const found: Found = { latencies: [], systemCalls: [], startUps: [], memory: [], throughput: [] }
  const wants = (part: Part): boolean => parts.includes(part)
  const served = contestants({ reference, stores: false }).filter(({ program }) => program)

  for (const transport of ['unix', 'tcp'] as const) {
    if (!wants(transport)) continue
    const commands = COMMANDS.filter((command) => !quick || command.quick)
    found.latencies.push(...(await latencies(plan, transport, commands, quick ? 10 : 40)))
  }
  const storing = COMMANDS.filter((command) => command.stores && (!quick || command.quick))
  if (wants('unix') && fileSystemOf(IN_MEMORY) === 'tmpfs') {
    found.latencies.push(...(await latencies(plan, 'unix', storing, quick ? 10 : 40, IN_MEMORY)))
  }
  if (wants('verbs'))
    found.latencies.push(...(await latencies(plan, 'unix', verbs('control'), quick ? 4 : 20)))
  if (wants('cancel')) {
    found.latencies.push(...(await latencies(plan, 'unix', [cancellation('control')], quick ? 3 : 20)))
  }
  if (wants('calls')) {
    for (const command of [GET_RANDOM, NV_WRITE]) {
      progress(`system calls of ${command.name}`)
      const takePart = contestants({ reference, stores: command.stores ?? false })
      found.systemCalls.push(...(await countSystemCalls(takePart, 'unix', command, quick ? 200 : 1000)))
    }
  }
  if (wants('start')) {
    progress('exec to first answer')
    found.startUps.push(...(await measureStartUp(served, quick ? 5 : 25)))
  }
  if (wants('memory')) {
    progress('memory of many TPMs')
    found.memory.push(...(await measureMemory([...served, FLEET], quick ? [1, 10] : [1, 10, 50, 200])))
  }
  if (wants('throughput')) {
    progress('commands per second of many TPMs')
    const size = quick ? { rounds: 3, commands: 4_000 } : { rounds: 10, commands: 20_000 }
    found.throughput.push(...(await measureThroughput([...served, FLEET], quick ? [1, 8] : [1, 8, 50], size)))
  }
  if (wants('vm')) {
    progress('the devices, in the virtual machine with the instruction clock')
    found.latencies.push(...(await measureInGuest({ quick, reference })))
  }
  return found
}

async function latencies(
  plan: Plan,
  transport: Transport,
  commands: readonly MeasuredCommand[],
  rounds: number,
  stateRoot = tmpdir(),
): Promise<PlacedLatency[]> {
  return measurePlaced({
    ...{ transport, commands, rounds, place: 'host', stateRoot, pin: true },
    ...{ reference: plan.reference, progress: plan.progress },
  })
}

export interface PlacedOptions {
  readonly transport: Transport
  readonly commands: readonly MeasuredCommand[]
  readonly rounds: number
  readonly place: Place
  readonly stateRoot: string
  readonly pin: boolean
  readonly reference: string | undefined
  /** Instead of everybody. */
  readonly only?: readonly Contestant[]
  readonly progress: (what: string) => void
}

export async function measurePlaced(options: PlacedOptions): Promise<PlacedLatency[]> {
  const { transport, commands, rounds, place, stateRoot, pin, reference, only, progress } = options
  const results: PlacedLatency[] = []
  mkdirSync(stateRoot, { recursive: true })
  const directory = mkdtempSync(join(stateRoot, 'swtpm-bench-'))
  try {
    const state = await prepareState(directory)
    for (const tpm of ['2', '1.2'] as const) {
      const ofThisTpm = commands.filter((command) => command.tpm === tpm)
      const found = await measureLatencies({
        ...{ transport, tpm, commands: ofThisTpm, rounds, pin, stateRoot, state, takesPart },
        contestants: only ?? contestants({ reference, stores: true }),
        progress: ({ name }) => progress(`${name} (TPM ${tpm}) over ${transport}`),
      })
      results.push(...found.map((result) => ({ ...result, place, fileSystem: fileSystemOf(stateRoot) })))
    }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  return results
}

/**
 * A limit has no verbs and cannot be cancelled, an echo is the same for every command, and how state is stored matters to
 * commands that store.
 */
function takesPart(contestant: Contestant, command: MeasuredCommand): boolean {
  if (contestant.program) return command.stores || contestant.program.stateOptions === undefined
  if (command.channel || command.batch.ioctl || command.batch.cancel) return false
  return contestant !== ECHO || command.name === GET_RANDOM.name
}
