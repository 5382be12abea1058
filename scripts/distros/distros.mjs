// The distributions that the project is built and tested on.

import { debianSuite } from '../lib/debian-suite.mjs'

/**
 * @typedef {object} Distro
 * @property {string} suite of Debian's archive
 * @property {string} npm which npm of the npm registry is put in: the one that this distribution or this Node comes with.
 *   Debian's own package brings some 350 packages along, which take minutes to install
 * @property {string} [node] which Node of the npm registry is put in, where Debian's own is too old
 */

/** @type {Distro[]} */
export const DISTROS = [
  // Node 18 is all that Debian 12 has.
  { suite: 'bookworm', node: '22', npm: '10' },
  { suite: 'trixie', npm: '9' },
  { suite: 'sid', npm: '12' },
]

export const SUITES = DISTROS.map(({ suite }) => suite)

/** All but the one that this machine runs: that one is built and tested here anyway. */
export const OTHER_SUITES = SUITES.filter((suite) => suite !== debianSuite())
