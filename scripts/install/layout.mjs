// Where things go, from --prefix: below it, and where the system's services look for what is theirs.

import { existsSync } from 'node:fs'
import path from 'node:path'

/** The prefixes below which systemd, udev and their kin look for files. */
const SYSTEM_PREFIXES = ['/usr', '/usr/local']

/**
 * @typedef {object} Layout absolute paths on the system that is installed, without --destdir
 * @property {string} bin
 * @property {string} lib what the programs consist of, and the manifest
 * @property {string} share man/man8, bash-completion/completions
 * @property {string} zsh
 * @property {string} config
 * @property {string} units
 * @property {string} udevRules
 * @property {string} sysusers
 * @property {string} tmpfiles
 * @property {string} modulesLoad
 * @property {string} appArmorProfile
 * @property {string} appArmorLibvirt what libvirt adds to the profile of each virtual machine
 */

/** @param {string} prefix @returns {Layout} */
export function layout(prefix) {
  const system = SYSTEM_PREFIXES.includes(prefix) ? path.join(prefix, 'lib') : '/etc'
  const share = path.join(prefix, 'share')
  const debianZsh = '/usr/share/zsh/vendor-completions'
  return {
    bin: path.join(prefix, 'bin'),
    lib: path.join(prefix, 'lib/swtpm'),
    share,
    zsh: prefix === '/usr' && existsSync(debianZsh) ? debianZsh : path.join(share, 'zsh/site-functions'),
    // The programs look nowhere else.
    config: '/etc',
    units: path.join(system, 'systemd/system'),
    udevRules: path.join(system, 'udev/rules.d'),
    sysusers: path.join(system, 'sysusers.d'),
    tmpfiles: path.join(system, 'tmpfiles.d'),
    modulesLoad: path.join(system, 'modules-load.d'),
    // By its program, as distributions name theirs: one that a package has left for the same program is noticed.
    appArmorProfile: path.join(
      '/etc/apparmor.d',
      path.join(prefix, 'bin/swtpm').slice(1).replaceAll('/', '.'),
    ),
    appArmorLibvirt: '/etc/apparmor.d/abstractions/libvirt-qemu.d/swtpm',
  }
}

/** @param {Layout} places @returns {string} the list of what has been installed */
export const manifestPath = ({ lib }) => path.join(lib, 'manifest.json')
