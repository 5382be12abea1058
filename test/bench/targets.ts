/** What this swtpm is meant to reach, in terms of the C program in the same run, and what it does. */
import type { Measurement } from './latency.ts'
import type { Place, PlacedLatency, Results } from './results.ts'
import { ONE_MORE } from './start-up.ts'

export interface Target {
  readonly what: string
  readonly atMost: number
  /** One value for each command that the target is about; empty when none of them was measured. */
  readonly values: readonly number[]
  /** The same for a server that does nothing but read, have libtpms process, and write. */
  readonly bareLoop?: readonly number[]
}

/** Commands during which the TPM itself has next to nothing to do. */
const SHORT = ['GetRandom', 'PCR_Read', 'PCR_Extend', 'GetCapability', 'Hash of 1 KiB', 'Extend']
const OURS = 'ours'
const BARE_LOOP = 'bare loop'
const UNSYNCED = 'ours, fsync=false'
const FLEET = 'ours, fleet'

interface Where {
  readonly place: Place
  readonly transport: string
  readonly fileSystem?: string
  readonly commands: readonly string[]
}

export function targets(results: Results): Target[] {
  const { baseline } = results
  const rows = ({ place, transport, fileSystem, commands }: Where): PlacedLatency[] =>
    results.latencies.filter(
      (row) =>
        row.place === place &&
        row.transport === transport &&
        (fileSystem === undefined || row.fileSystem === fileSystem) &&
        commands.includes(row.command),
    )
  const times = (
    where: Where,
    { who = OURS, to = baseline, of = median }: { who?: string; to?: string; of?: Quantity } = {},
  ): number[] => rows(where).flatMap((row) => quotient(row, who, to, of))
  const nvWrite = (fileSystem: string): Where => ({
    ...{ place: 'host', transport: 'unix', fileSystem, commands: ['NV_Write'] },
  })
  const cancel = (place: Place, transport: string): Where => ({
    ...{ place, transport, commands: ['CANCEL of CreatePrimary RSA-3072'] },
  })
  const short = (what: string, atMost: number, place: Place, transport: string, of?: Quantity): Target => {
    const where = { place, transport, commands: SHORT }
    const bareLoop = times(where, { who: BARE_LOOP, ...(of && { of }) })
    return { what, atMost, values: times(where, of && { of }), bareLoop }
  }
  return [
    short('short commands, Unix socket', 0.85, 'host', 'unix'),
    short('short commands, TCP', 0.85, 'host', 'tcp'),
    short('short commands, CUSE, instruction clock', 0.92, 'vm', 'cuse'),
    short('server CPU time of short commands, Unix socket', 0.85, 'host', 'unix', cpu),
    {
      what: 'GetRandom, vTPM proxy, server CPU time above that of the echo server',
      atMost: 1,
      values: aboveEcho(rows({ place: 'vm', transport: 'tpm', commands: ['GetRandom'] }), baseline),
    },
    { what: 'NV_Write, durable, to the baseline unsynced, ext4', atMost: 1, values: times(nvWrite('ext4')) },
    {
      what: "NV_Write, durable, to the reference's fsync, ext4",
      atMost: 0.4,
      values: times(nvWrite('ext4'), { to: 'reference, fsync' }),
    },
    { what: 'NV_Write, both unsynced, ext4', atMost: 0.3, values: times(nvWrite('ext4'), { who: UNSYNCED }) },
    {
      what: 'NV_Write, both unsynced, tmpfs',
      atMost: 0.85,
      values: times(nvWrite('tmpfs'), { who: UNSYNCED }),
    },
    { what: 'CANCEL, control channel', atMost: 0.1, values: times(cancel('host', 'unix')) },
    { what: 'CANCEL, CUSE, instruction clock', atMost: 0.1, values: times(cancel('vm', 'cuse')) },
    {
      what: 'one more TPM in a running fleet, to a start of the baseline',
      atMost: 1,
      values: oneMore(results),
    },
    ...(
      [
        [1, 1.5],
        [10, 1.3],
        [50, 1.2],
        [200, 1.2],
      ] as const
    ).map(([tpms, atMost]) => ({
      what: `proportional memory at rest, separate TPMs: ${tpms}`,
      atMost,
      values: memory(results, tpms, OURS),
    })),
    { what: 'proportional memory of 50 TPMs in a fleet', atMost: 1.3, values: memory(results, 50, FLEET) },
    { what: 'proportional memory of 200 TPMs in a fleet', atMost: 1, values: memory(results, 200, FLEET) },
  ]
}

type Quantity = (measurement: Measurement) => number | undefined
const median: Quantity = ({ ns }) => ns.median
const cpu: Quantity = ({ perCommand }) => perCommand?.cpuNs

function quotient(row: PlacedLatency, who: string, to: string, of: Quantity): number[] {
  const value = (name: string): number | undefined => {
    const found = row.measurements.find(({ contestant }) => contestant === name)
    return found && of(found)
  }
  const [ours, theirs] = [value(who), value(to)]
  return ours === undefined || theirs === undefined ? [] : [ours / theirs]
}

/** The driver looks for the response once a millisecond, so the time of a command tells nothing of the server. */
function aboveEcho(rows: readonly PlacedLatency[], baseline: string): number[] {
  return rows.flatMap(({ measurements }) => {
    const [ours, theirs, echo] = [OURS, baseline, 'echo'].map(
      (name) => measurements.find(({ contestant }) => contestant === name)?.perCommand?.cpuNs,
    )
    if (ours === undefined || theirs === undefined || echo === undefined) return []
    return [(ours - echo) / (theirs - echo)]
  })
}

/** With a state and without one. */
function oneMore({ startUps, baseline }: Results): number[] {
  return (['empty', 'existing'] as const).flatMap((state) => {
    const [ours, theirs] = [ONE_MORE, baseline].map(
      (name) => startUps.find((one) => one.contestant === name && one.state === state)?.ns.median,
    )
    return ours === undefined || theirs === undefined ? [] : [ours / theirs]
  })
}

function memory({ memory, baseline }: Results, tpms: number, who: string): number[] {
  const [ours, theirs] = [who, baseline].map(
    (name) => memory.find((one) => one.contestant === name && one.tpms === tpms)?.bytes.proportional,
  )
  return ours === undefined || theirs === undefined ? [] : [ours / theirs]
}
