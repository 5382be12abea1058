/**
 * Figures that do not depend on how busy the machine is: what one command on the plain path takes in system calls and heap
 * allocations, counted here; and in the virtual machine, where each run is like the one before, its time and how often a
 * thread of the server goes to sleep. They are written down in recorded.json, and `npm test` compares.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { enginePid } from '../support/processes.ts'
import { type Cleanup, projectRoot, startSocketTpm } from '../support/swtpm.ts'
import { BenchClient } from './client.ts'
import { COMMANDS, GET_RANDOM, GET_RANDOM_RARELY, type MeasuredCommand } from './commands.ts'
import type { Transport } from './contestants.ts'
import { measureInGuest } from './guest.ts'
import { HeapCounter } from './heap-counter.ts'
import type { Measurement } from './latency.ts'
import { systemCallsOf } from './process-cost.ts'

/** What is counted, to how often for one command. */
export type Figures = Readonly<Record<string, number>>

const RECORDED = join(projectRoot, 'test/bench/recorded.json')
export const COUNTED = ['GetRandom', 'PCR_Extend', 'NV_Write'].map(
  (name) => COMMANDS.find((command) => command.name === name) as MeasuredCommand,
)
const COUNT = 200

/** Of this command over a Unix socket. */
export async function countPlainPath(t: Cleanup, command: MeasuredCommand): Promise<Figures> {
  const directory = mkdtempSync(join(tmpdir(), 'swtpm-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const heap = new HeapCounter(directory)
  const { swtpm, dataPath } = await startSocketTpm(t, undefined, { env: { SWTPM_ENGINE: heap.engine } })
  const client = await BenchClient.connect(`unix:${dataPath}`)
  t.after(() => client.close())
  const run = (count: number): Promise<unknown> => client.run({ ...command.batch, count })
  for (const step of command.before ?? []) await client.do(step)
  await run(20)

  const allocated = heap.allocations
  await run(COUNT)
  const allocations = heap.allocations - allocated
  const calls = await systemCallsOf([await enginePid(swtpm.pid)], () => run(COUNT))
  return {
    'system calls': rounded([...calls.values()].reduce((a, b) => a + b, 0) / COUNT),
    'heap allocations': rounded(allocations / COUNT),
  }
}

/** Of GetRandom in the virtual machine, by transport. */
export async function measureByInstructionClock(): Promise<Record<string, Figures>> {
  const results = await measureInGuest({ quick: true, reference: undefined, onlyRecorded: true })
  const ours = (transport: Transport, { name }: MeasuredCommand): Measurement => {
    const found = results.find((result) => result.transport === transport && result.command === name)
    if (!found?.measurements[0])
      throw new Error(`the virtual machine has not measured ${name} over ${transport}`)
    return found.measurements[0]
  }
  const figures = (transport: Transport): Figures => ({
    ns: Math.round(ours(transport, GET_RANDOM).ns.middleMean),
    'context switches': rounded(ours(transport, GET_RANDOM_RARELY).perCommand?.switches ?? 0),
  })
  return Object.fromEntries(BY_CLOCK.map(({ name, transport }) => [name, figures(transport)]))
}

const rounded = (value: number): number => Math.round(value * 10) / 10

export const BY_CLOCK = [
  { name: 'GetRandom, Unix socket, instruction clock', transport: 'unix' },
  { name: 'GetRandom, CUSE, instruction clock', transport: 'cuse' },
] as const

export const countedName = ({ name }: MeasuredCommand): string => `${name}, Unix socket`

export async function measureRecorded(): Promise<Record<string, Figures>> {
  const undo: (() => unknown)[] = []
  const figures: Record<string, Figures> = {}
  try {
    for (const command of COUNTED) {
      figures[countedName(command)] = await countPlainPath({ after: (work) => undo.push(work) }, command)
    }
  } finally {
    for (const work of undo.reverse()) await work()
  }
  return { ...figures, ...(await measureByInstructionClock()) }
}

export function saveRecorded(figures: Record<string, Figures>): void {
  writeFileSync(RECORDED, `${JSON.stringify(figures, undefined, 2)}\n`)
  console.log(readFileSync(RECORDED, 'utf8'))
}

/** @throws when there are none of this name */
export function recorded(name: string): Figures {
  const figures = JSON.parse(readFileSync(RECORDED, 'utf8'))[name]
  if (figures === undefined) throw new Error(`no figures for ${name}: npm run bench -- --record`)
  return figures
}
