/** Results as Markdown tables and as plots. */

import type { Measurement } from './latency.ts'
import type { Place, PlacedLatency, Results } from './results.ts'
import { geometricMean } from './statistics.ts'
import { barChart, type Chart } from './svg.ts'
import { targets } from './targets.ts'

/** File name to contents. */
export type Report = ReadonlyMap<string, string>

export function report(results: Results): Report {
  const files = new Map<string, string>()
  for (const { file, chart } of charts(results)) files.set(`${file}.svg`, barChart(chart))
  files.set('results.md', markdown(results, [...files.keys()]))
  return files
}

/** Three significant figures, in the unit that suits. */
export function duration(ns: number): string {
  const [value, unit] =
    ns < 1e3 ? [ns, 'ns'] : ns < 1e6 ? [ns / 1e3, 'µs'] : ns < 1e9 ? [ns / 1e6, 'ms'] : [ns / 1e9, 's']
  return `${significant(value)} ${unit}`
}

function significant(value: number): string {
  if (value >= 100) return value.toFixed(0)
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

const mebibytes = (bytes: number): string => `${significant(bytes / 2 ** 20)} MiB`

const PLACES: Readonly<Record<Place, string>> = {
  host: 'on this machine, both ends on one core',
  vm: 'in the virtual machine, by the instruction clock',
}
const TRANSPORTS: Readonly<Record<string, string>> = {
  unix: 'Unix socket',
  tcp: 'TCP',
  control: 'Control channel',
  cuse: '/dev/vtpm0 (CUSE)',
  tpm: '/dev/tpm0 (vTPM proxy)',
  tpmrm: '/dev/tpmrm0 (vTPM proxy)',
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

const commandOf = ({ command, tpm }: PlacedLatency): string =>
  tpm === '2' ? command : `${command} (TPM 1.2)`

/** The measurement's median in terms of the baseline's; undefined where that has none. */
function ratio({ measurements }: PlacedLatency, { ns }: Measurement, baseline: string): number | undefined {
  const base = measurements.find(({ contestant }) => contestant === baseline)
  return base && ns.median / base.ns.median
}

/** Latencies by what one table or plot shows. */
function sections(
  latencies: readonly PlacedLatency[],
): { title: string; file: string; rows: PlacedLatency[] }[] {
  const groups = new Map<string, { title: string; file: string; rows: PlacedLatency[] }>()
  for (const row of latencies) {
    const by = row.channel ?? row.transport
    const file = [row.place, by, row.fileSystem].join('-')
    const title = `${TRANSPORTS[by]}, ${PLACES[row.place]}, state on ${row.fileSystem}`
    const group = groups.get(file) ?? { title, file, rows: [] }
    group.rows.push(row)
    groups.set(file, group)
  }
  return [...groups.values()]
}

function markdown(results: Results, plots: readonly string[]): string {
  const { environment, baseline } = results
  const parts = [
    '# Results',
    `Made by \`${results.commandLine}\`; [README.md](README.md) says how to read it. Ratios are to ${baseline}, lower is better.`,
    table(['environment', ''], Object.entries(environment)),
  ]
  const reached = targets(results).filter(({ values }) => values.length > 0)
  if (reached.length > 0) {
    parts.push(
      '## Targets',
      table(
        ['what', 'at most', 'geometric mean', 'worst', 'bare loop'],
        reached.map(({ what, atMost, values, bareLoop = [] }) => {
          const worst = Math.max(...values)
          return [
            what,
            atMost.toFixed(2),
            geometricMean(values).toFixed(2),
            `${worst.toFixed(2)}${worst > atMost ? ' ✗' : ' ✓'}`,
            bareLoop.length > 0 ? geometricMean(bareLoop).toFixed(2) : '',
          ]
        }),
      ),
    )
  }
  for (const { title, file, rows } of sections(results.latencies)) {
    parts.push(`## ${title}`)
    if (plots.includes(`${file}.svg`)) parts.push(`![${title}](${file}.svg)`)
    parts.push(
      table(
        ['command', 'who', 'median', 'p10 – p90', 'ratio', 'server CPU', 'switches'],
        rows.flatMap((row) =>
          row.measurements.map((measured, index) => {
            const { ns, contestant, perCommand } = measured
            const times = ratio(row, measured, baseline)
            return [
              index === 0 ? commandOf(row) : '',
              contestant,
              duration(ns.median),
              `${duration(ns.p10)} – ${duration(ns.p90)}`,
              times === undefined ? '' : times.toFixed(2),
              perCommand ? duration(perCommand.cpuNs) : '',
              perCommand ? perCommand.switches.toFixed(2) : '',
            ]
          }),
        ),
      ),
    )
  }
  if (results.systemCalls.length > 0) {
    parts.push(
      '## System calls per command, Unix socket',
      table(
        ['command', 'who', 'calls'],
        results.systemCalls.map(({ command, contestant, perCommand }) => [
          command,
          contestant,
          Object.entries(perCommand)
            .map(([name, times]) => `${name} ${times}`)
            .join(', '),
        ]),
      ),
    )
  }
  if (results.startUps.length > 0) {
    parts.push(
      '## Exec to first answer',
      '![Exec to first answer](start-up.svg)',
      table(
        ['who', 'state', 'median', 'p10 – p90'],
        results.startUps.map(({ contestant, state, ns }) => [
          contestant,
          state,
          duration(ns.median),
          `${duration(ns.p10)} – ${duration(ns.p90)}`,
        ]),
      ),
    )
  }
  if (results.memory.length > 0) {
    parts.push(
      '## Memory of many TPMs at rest: two processes for each, one in a fleet',
      '![Proportional memory](memory.svg)',
      table(
        ['TPMs', 'who', 'resident', 'proportional', 'private'],
        results.memory.map(({ tpms, contestant, bytes }) => [
          String(tpms),
          contestant,
          mebibytes(bytes.resident),
          mebibytes(bytes.proportional),
          mebibytes(bytes.private),
        ]),
      ),
    )
  }
  if (results.throughput.length > 0) {
    parts.push(
      '## GetRandom per second, all TPMs at work at the same time',
      table(
        ['TPMs', 'who', 'median', 'p10 – p90'],
        results.throughput.map(({ tpms, contestant, perSecond: { median, p10, p90 } }) => [
          String(tpms),
          contestant,
          median.toFixed(0),
          `${p10.toFixed(0)} – ${p90.toFixed(0)}`,
        ]),
      ),
    )
  }
  return `${parts.join('\n\n')}\n`
}

function charts(results: Results): { file: string; chart: Chart }[] {
  const { baseline } = results
  const latency = sections(results.latencies).map(({ title, file, rows }) => ({
    file,
    chart: {
      title,
      palette: PALETTE,
      subtitle: `Time of a command, in terms of ${baseline}; the lines are p10 to p90`,
      groups: rows.map((row) => ({
        label: commandOf(row),
        bars: row.measurements.flatMap((measured) => {
          const { ns, contestant } = measured
          const times = ratio(row, measured, baseline)
          if (times === undefined) return []
          const unit = times / ns.median
          // One that is far longer would leave nothing to see of the others.
          const bounded = (value: number): number => Math.min(value * unit, LONGEST)
          return [
            {
              series: contestant,
              value: bounded(ns.median),
              low: bounded(ns.p10),
              high: bounded(ns.p90),
              text: `${duration(ns.median)} (${times.toFixed(2)})`,
            },
          ]
        }),
      })),
      mark: { value: 1, text: baseline },
    },
  }))
  const startUp = {
    file: 'start-up',
    chart: {
      title: 'Exec to first answer',
      palette: PALETTE,
      subtitle: 'Median; the lines are p10 to p90',
      groups: ['none', 'empty', 'existing'].map((state) => ({
        label: state === 'none' ? 'bare Node, to its end' : `${state} state`,
        bars: results.startUps
          .filter((one) => one.state === state)
          .map(({ contestant, ns: { median, p10, p90 } }) => ({
            ...{ series: contestant, value: median, low: p10, high: p90, text: duration(median) },
          })),
      })),
    },
  }
  const memory = {
    file: 'memory',
    chart: {
      title: 'Proportional memory of many TPMs',
      palette: PALETTE,
      subtitle: 'For each TPM: a page that several processes share counts in parts',
      groups: [...new Set(results.memory.map(({ tpms }) => tpms))].map((tpms) => ({
        label: tpms === 1 ? '1 TPM' : `${tpms} TPMs`,
        bars: results.memory
          .filter((one) => one.tpms === tpms)
          .map(({ contestant, bytes }) => ({
            series: contestant,
            value: bytes.proportional / tpms,
            text: mebibytes(bytes.proportional / tpms),
          })),
      })),
    },
  }
  return [
    ...latency,
    ...(results.startUps.length > 0 ? [startUp] : []),
    ...(results.memory.length > 0 ? [memory] : []),
  ].filter(({ chart }) => chart.groups.some(({ bars }) => bars.length > 0))
}

/** Of a bar, in terms of the baseline. */
const LONGEST = 4

const PALETTE = [
  ...['ours', 'ours, fsync=false', 'Debian', 'reference', 'reference, fsync'],
  ...['direct', 'bare loop', 'echo', 'node -e 0', 'ours, fleet', 'ours, one more in a fleet'],
]
