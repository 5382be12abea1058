/** JSON with the blanks that scripts have grepped for since the first release. */
export function capabilitiesLine(capabilities: Readonly<Record<string, string | readonly string[]>>): string {
  const list = (items: readonly string[]): string =>
    items.length === 0 ? '[]' : `[ ${items.map((item) => JSON.stringify(item)).join(', ')} ]`
  const fields = Object.entries(capabilities).map(
    ([name, value]) => `"${name}": ${typeof value === 'string' ? JSON.stringify(value) : list(value)}`,
  )
  return `{ ${fields.join(', ')} }`
}
