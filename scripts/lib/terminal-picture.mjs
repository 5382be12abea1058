// Lines of a terminal as an SVG image that needs nothing else.

/** @typedef {{ kind: 'typed' | 'result', text: string }} Line */

const CHARACTER_WIDTH = 7.85
const LINE_HEIGHT = 21
const MARGIN = 18
const TITLE_BAR = 32

const LOOKS = {
  typed: { prefix: '$ ', mark: '#8b949e', text: '#e6edf3', indent: 0 },
  result: { prefix: '✓ ', mark: '#3fb950', text: '#a5d6a7', indent: 2 },
}

/** @param {string} text */
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')

/** @param {number} value */
const rounded = (value) => Math.round(value * 10) / 10

/**
 * @param {object} picture
 * @param {string} picture.title for those who cannot see it
 * @param {Line[]} picture.lines
 * @returns {string}
 */
export function terminalPicture({ title, lines }) {
  const columns = Math.max(...lines.map(({ kind, text }) => LOOKS[kind].indent + 2 + text.length))
  const width = Math.ceil(2 * MARGIN + columns * CHARACTER_WIDTH)
  const height = TITLE_BAR + lines.length * LINE_HEIGHT + MARGIN
  const rows = lines.map(({ kind, text }, index) => {
    const { prefix, mark, text: colour, indent } = LOOKS[kind]
    const x = rounded(MARGIN + indent * CHARACTER_WIDTH)
    const length = rounded(text.length * CHARACTER_WIDTH)
    const y = TITLE_BAR + (index + 1) * LINE_HEIGHT - 5
    return (
      `<text x="${x}" y="${y}" fill="${mark}">${prefix.trim()}</text>` +
      `<text x="${rounded(x + 2 * CHARACTER_WIDTH)}" y="${y}" fill="${colour}" textLength="${length}" lengthAdjust="spacingAndGlyphs">${escaped(text)}</text>`
    )
  })
  const dots = ['#ff5f57', '#febc2e', '#28c840'].map(
    (colour, index) => `<circle cx="${MARGIN + index * 18}" cy="${TITLE_BAR / 2}" r="5.5" fill="${colour}"/>`,
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">`,
    '<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre}</style>',
    '<rect width="100%" height="100%" rx="8" fill="#0d1117"/>',
    ...dots,
    ...rows,
    '</svg>',
    '',
  ].join('\n')
}
