// What the system's services have to be told after an installation; they find out by themselves at the next boot.

import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { capture, UserError } from '../lib/command.mjs'
import { note } from '../lib/terminal.mjs'

/**
 * @typedef {{ why: string, command: [string, ...string[]], possible: boolean }} Notice `possible`: there is somebody to
 *   be told
 * @param {import('./layout.mjs').Layout} places
 * @returns {Notice[]}
 */
function installed(places) {
  return [
    {
      why: 'make the user tss if there is none',
      command: ['systemd-sysusers', path.join(places.sysusers, 'swtpm.conf')],
      possible: isProgram('systemd-sysusers'),
    },
    {
      why: 'make the directory of the CA, in which tss may write',
      command: ['systemd-tmpfiles', '--create', path.join(places.tmpfiles, 'swtpm.conf')],
      possible: isProgram('systemd-tmpfiles'),
    },
    {
      why: "have AppArmor confine swtpm, which libvirt's virtual machines need",
      command: ['apparmor_parser', '--replace', places.appArmorProfile],
      possible: appArmorIsOn(),
    },
    ...changed(),
  ]
}

/** @param {string} name */
const isProgram = (name) => ['/usr/bin', '/bin'].some((directory) => existsSync(path.join(directory, name)))

/** @returns {Notice[]} */
function changed() {
  return [
    {
      why: 'have udev read the rules',
      command: ['udevadm', 'control', '--reload'],
      possible: existsSync('/run/udev/control'),
    },
    {
      why: 'have systemd read the units',
      command: ['systemctl', 'daemon-reload'],
      possible: existsSync('/run/systemd/system'),
    },
  ]
}

/** @returns {boolean} whether the kernel has it, and there is what loads profiles */
export function appArmorIsOn() {
  // The file is there without securityfs, too.
  const parameter = '/sys/module/apparmor/parameters/enabled'
  if (!existsSync(parameter) || readFileSync(parameter, 'latin1').trim() !== 'Y') return false
  return ['/usr/sbin', '/sbin'].some((directory) => existsSync(path.join(directory, 'apparmor_parser')))
}

/** @param {import('./layout.mjs').Layout} places */
export function tellBeforeRemoval({ appArmorProfile }) {
  tell([
    {
      why: 'have AppArmor forget swtpm',
      command: ['apparmor_parser', '--remove', appArmorProfile],
      possible: appArmorIsOn() && existsSync(appArmorProfile),
    },
  ])
}

/** @param {import('./layout.mjs').Layout} places */
export const tellInstalled = (places) => tell(installed(places))
export const tellRemoved = () => tell(changed())

/** @param {Notice[]} notices */
function tell(notices) {
  for (const { why, command, possible } of notices) {
    if (!possible) continue
    const line = command.join(' ')
    try {
      capture(command[0], command.slice(1))
      note(`${line} (${why})`)
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      // What was installed works without it, or after the next boot.
      note(`Could not ${why}: ${error.output || error.message}; run \`${line}\` yourself, or reboot`)
    }
  }
}

/** What is to be done where another system is being prepared. @param {import('./layout.mjs').Layout} places */
export const laterCommands = (places) => installed(places).map(({ command }) => command.join(' '))
