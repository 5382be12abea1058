/** A line of JSON that has to be an object: what programs send to a socket of ours. */

/** @throws Error saying what is wrong with the line */
export function jsonObject(line: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new Error('it is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('it is not a JSON object')
  return value as Record<string, unknown>
}
