/** Horizontal bars in groups, as an SVG image that needs nothing else and can be read on light and dark pages. */

export interface Bar {
  readonly series: string
  readonly value: number
  /** Ends of a line over the bar. */
  readonly low?: number
  readonly high?: number
  /** What is written behind it. */
  readonly text: string
}

export interface Chart {
  readonly title: string
  readonly subtitle: string
  /** Series in the order of their colours, so that each has the same in all charts. */
  readonly palette: readonly string[]
  readonly groups: readonly { readonly label: string; readonly bars: readonly Bar[] }[]
  /** A line across all groups. */
  readonly mark?: { readonly value: number; readonly text: string }
}

const WIDTH = 860
/** At least: longer labels take more, by an estimate that is enough for sans-serif letters of 13 px. */
const LABEL_WIDTH = 210
const LETTER_WIDTH = 6.9
const TEXT_WIDTH = 150
const BAR_HEIGHT = 15
const GROUP_GAP = 12
const TOP = 92
const COLOURS = [
  '#2563a8',
  '#7fb0dd',
  '#e0a458',
  '#c2571a',
  '#8a3b0f',
  '#6b6b6b',
  '#989898',
  '#c4c4c4',
  '#5b8c5a',
  '#8e5ea2',
  '#3a9b9b',
]

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
const round = (value: number): number => Math.round(value * 10) / 10

/** @throws RangeError for more series than there are colours: two would look the same */
export function barChart({ title, subtitle, palette, groups, mark }: Chart): string {
  if (palette.length > COLOURS.length)
    throw new RangeError(`${palette.length} series, ${COLOURS.length} colours`)
  const longest = Math.max(...groups.map(({ label }) => label.length))
  const labels = Math.max(LABEL_WIDTH, Math.ceil(longest * LETTER_WIDTH) + 16)
  const width = WIDTH - LABEL_WIDTH + labels
  const bars = groups.flatMap((group) => group.bars)
  const series = palette.filter((name) => bars.some((bar) => bar.series === name))
  const largest = Math.max(mark?.value ?? 0, ...bars.map((bar) => bar.high ?? bar.value))
  const x = (value: number): number => round(labels + (value / largest) * (width - labels - TEXT_WIDTH))
  const colour = (name: string): string => COLOURS[palette.indexOf(name)] as string

  const body: string[] = []
  let y = TOP
  for (const { label, bars } of groups) {
    const middle = y + (bars.length * BAR_HEIGHT) / 2 + 4
    body.push(`<text x="${labels - 10}" y="${round(middle)}" text-anchor="end">${escaped(label)}</text>`)
    for (const bar of bars) {
      const [left, right] = [labels, x(bar.value)]
      const length = round(Math.max(1, right - left))
      body.push(
        `<rect x="${left}" y="${y + 1}" width="${length}" height="${BAR_HEIGHT - 2}" fill="${colour(bar.series)}"/>`,
      )
      if (bar.low !== undefined && bar.high !== undefined) {
        const line = y + BAR_HEIGHT / 2
        body.push(`<path d="M${x(bar.low)} ${line}H${x(bar.high)}" stroke="#333" stroke-width="1.5"/>`)
      }
      const end = Math.max(right, bar.high === undefined ? 0 : x(bar.high))
      body.push(`<text x="${round(end + 6)}" y="${y + 12}" class="value">${escaped(bar.text)}</text>`)
      y += BAR_HEIGHT
    }
    y += GROUP_GAP
  }
  if (mark) {
    body.push(
      `<path d="M${x(mark.value)} ${TOP - 8}V${y - GROUP_GAP}" stroke="#333" stroke-dasharray="3 3"/>`,
      `<text x="${x(mark.value)}" y="${TOP - 12}" text-anchor="middle" class="value">${escaped(mark.text)}</text>`,
    )
  }
  let left = labels
  const legend = series.map((name) => {
    const entry = `<rect x="${left}" y="52" width="11" height="11" fill="${colour(name)}"/><text x="${left + 16}" y="62">${escaped(name)}</text>`
    left += 32 + name.length * 7
    return entry
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + 8}" viewBox="0 0 ${width} ${y + 8}" role="img" aria-label="${escaped(title)}">`,
    '<style>text{font:13px sans-serif;fill:#222}.value{font-size:11.5px}.title{font-size:16px;font-weight:bold}</style>',
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="16" y="24" class="title">${escaped(title)}</text>`,
    `<text x="16" y="42">${escaped(subtitle)}</text>`,
    ...legend,
    ...body,
    '</svg>',
    '',
  ].join('\n')
}
