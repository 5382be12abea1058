/** Why compiled code cannot be loaded. */
import { reasonOf } from '../reason.ts'

/**
 * @param error what require() threw
 * @returns one line: Node's own text has the advice to recompile, and numbers that no version of Node is called by
 */
export function loadReason(error: unknown): string {
  const text = reasonOf(error)
  if (/NODE_MODULE_VERSION/.test(text))
    return `it was compiled for another version of Node, and this is ${process.version}`
  const [first = ''] = text.split('\n', 1)
  return first
}
