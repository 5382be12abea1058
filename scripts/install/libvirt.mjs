// What keeps a confined libvirt from using what has been installed.

import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { appArmorIsOn } from './system.mjs'

const PROFILES = '/etc/apparmor.d'
/** libvirt's daemons, as AppArmor knows them. */
const DAEMONS = ['usr.sbin.libvirtd', 'usr.sbin.virtqemud']
/** The profiles that the kernel has. */
const LOADED = '/sys/kernel/security/apparmor'
/** The programs that libvirt's profiles know. */
const KNOWN = '/usr/bin'

/**
 * libvirt takes the first swtpm in its PATH, where /usr/local/bin comes before /usr/bin, and its profiles execute none but
 * those in /usr/bin.
 *
 * @param {import('./layout.mjs').Layout} places
 * @param {{ root?: string, appArmor?: boolean }} [system] which to look at
 * @returns {string | undefined} what does not work, and what to do
 */
export function libvirtObstacle({ bin }, { root = '/', appArmor = appArmorIsOn() } = {}) {
  const daemons = DAEMONS.filter((name) => existsSync(path.join(root, PROFILES, name)))
  if (!appArmor || daemons.length === 0 || bin === KNOWN) return undefined
  const rules = [
    ...daemons.map((name) => ({ rule: `${bin}/swtpm* PUx,`, file: `${PROFILES}/local/${name}` })),
    { rule: `${bin}/swtpm rmpix,`, file: `${PROFILES}/local/abstractions/libvirt-qemu` },
  ]
  return [
    `libvirt cannot start a TPM: its AppArmor profiles allow swtpm in ${KNOWN} only, and ${bin} may come first in its PATH.`,
    'Install with --prefix=/usr, or allow it:',
    `  mkdir -p ${PROFILES}/local/abstractions`,
    ...rules.map(({ rule, file }) => `  echo '${rule}' >> ${file}`),
    ...daemons.map((name) => `  apparmor_parser --replace ${PROFILES}/${name}`),
  ].join('\n')
}

/**
 * Ubuntu's package swtpm has a profile for the same program. Purged, it stays in the kernel, which then cannot decide for one.
 *
 * @param {import('./layout.mjs').Layout} places
 * @param {string} [loaded] the kernel's list
 * @returns {string | undefined} what does not work, and what to do
 */
export function rivalProfile({ bin }, loaded = readLoaded()) {
  if (bin !== KNOWN || !/^swtpm \(/m.test(loaded)) return undefined
  return `AppArmor has another profile for ${bin}/swtpm, "swtpm", of a package that has gone; reboot, or run \`printf swtpm >${LOADED}/.remove\``
}

/** @returns {string} */
function readLoaded() {
  try {
    return readFileSync(path.join(LOADED, 'profiles'), 'latin1')
  } catch {
    return ''
  }
}
