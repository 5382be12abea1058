// A `node` that loads a file before its program: for programs that the keeper starts, which passes no NODE_OPTIONS on.

import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'

/**
 * @param {string} directory where it is to be; it is made
 * @param {string} node the real one
 * @param {string} preload a CommonJS file
 * @returns {string} the directory, for PATH
 */
export function nodeWith(directory, node, preload) {
  mkdirSync(directory)
  const quoted = (/** @type {string} */ text) => `'${text.replaceAll("'", "'\\''")}'`
  const script = `#!/bin/sh\nexec ${quoted(node)} --require ${quoted(preload)} "$@"\n`
  writeFileSync(path.join(directory, 'node'), script, { mode: 0o755 })
  return directory
}
