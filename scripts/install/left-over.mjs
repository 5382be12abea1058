// A configuration that was there before, of a package that has gone for one, and does not fit what has been installed.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { isThere } from './transaction.mjs'

/**
 * @param {string} file swtpm_setup.conf
 * @param {string} bin where the programs are, on the system that is installed
 * @param {(file: string) => string} inDestdir
 * @returns {string | undefined} what the administrator should know
 */
export function noteOnLeftOver(file, bin, inDestdir) {
  let text
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return undefined // what cannot be read is said by the program that needs it
  }
  const tool = /^create_certs_tool\s*=\s*([^#\r\n]*)/m.exec(text)?.[1]?.trim() ?? ''
  if (!path.isAbsolute(tool) || isThere(inDestdir(tool))) return undefined
  const own = path.join(bin, 'swtpm_localca')
  const consequence =
    path.basename(tool) === path.basename(own)
      ? `swtpm_setup will use ${own} in its place`
      : 'swtpm_setup will make no certificates'
  return `${file} names ${tool} as create_certs_tool, which is not there: ${consequence}. Write "create_certs_tool = ${own}" into it`
}
