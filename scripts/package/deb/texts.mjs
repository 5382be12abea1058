// What a Debian package says of itself.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { capture, succeeds } from '../../lib/command.mjs'
import { projectRoot } from '../../lib/paths.mjs'
import { loadTypeScript } from '../../lib/typescript.mjs'
import { bundledPackages } from '../licenses.mjs'

/** Not "swtpm": the versions of that are those of another program, and apt would take it for a newer one. */
export const NAME = 'swtpm-node'

const read = (/** @type {string} */ file) => readFileSync(path.join(projectRoot, file), 'utf8')

/** @returns {{ version: string, architecture: string }} */
export function identity() {
  const { version } = JSON.parse(read('package.json'))
  return { version: `${version}-1`, architecture: capture('dpkg', ['--print-architecture']).trim() }
}

/** @param {{ size: number, depends: string }} values `size`: in KiB */
export async function control({ size, depends }) {
  const { COMPATIBLE_VERSION } = await loadTypeScript('src/system/version.ts')
  return fill('packaging/debian/control.in', {
    ...identity(),
    ...{ maintainer: maintainer(), size: String(size), depends, compatible: COMPATIBLE_VERSION },
  })
}

/** @returns {string} */
export function changelog() {
  const { version } = identity()
  const epoch = process.env.SOURCE_DATE_EPOCH || lastCommit()
  const date = new Date(epoch ? Number(epoch) * 1000 : Date.now()).toUTCString().replace('GMT', '+0000')
  return `${NAME} (${version}) unstable; urgency=medium\n\n  * As released: changelog.gz says what changed.\n\n -- ${maintainer()}  ${date}\n`
}

/** @returns {string} */
export function copyright() {
  const packages = bundledPackages()
  const holders = packages.flatMap(({ name, text }) => {
    const named = [...text.matchAll(/^\s*Copyright (.*?)\.?$/gim)].map(([, holder = '']) => holder.trim())
    return named.length > 0 ? named : [`the authors of ${name}`]
  })
  const texts = new Map([
    ...packages.map(({ license, text }) => /** @type {const} */ ([license, text])),
    ['BSD-3-Clause', read('LICENSE')],
  ])
  return fill('packaging/debian/copyright.in', {
    holders: [...new Set(holders)].join('\n '),
    names: [...texts.keys()].join(' and '),
    packages: packages.map(({ name, version, license }) => `${name} ${version}, ${license}`).join('\n '),
    licenses: [...texts].map(([license, text]) => `License: ${license}\n${indented(text)}\n`).join('\n'),
  })
}

/** As a field of several lines. @param {string} text */
const indented = (text) =>
  text
    .trim()
    .split(/\r?\n/)
    .map((line) => (line.trim() === '' ? ' .' : ` ${line.trimEnd()}`))
    .join('\n')

/** @returns {string} */
function maintainer() {
  const configured = (/** @type {string} */ key) =>
    succeeds('git', ['config', key], { cwd: projectRoot })
      ? capture('git', ['config', key], { cwd: projectRoot }).trim()
      : ''
  const name = process.env.DEBFULLNAME || configured('user.name') || 'swtpm'
  const address = process.env.DEBEMAIL || configured('user.email') || 'root@localhost'
  return `${name} <${address}>`
}

/** @returns {string} seconds since 1970, or nothing outside a clone */
function lastCommit() {
  const args = ['log', '-1', '--format=%ct']
  return succeeds('git', args, { cwd: projectRoot }) ? capture('git', args, { cwd: projectRoot }).trim() : ''
}

/** @param {string} template @param {Record<string, string>} values */
function fill(template, values) {
  let text = read(template)
  for (const [name, value] of Object.entries(values)) text = text.replaceAll(`@${name}@`, () => value)
  return text
}
