// What the system's services have to be told after an installation; they find out by themselves at the next boot.

import { existsSync } from 'node:fs'
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
      possible: existsSync('/usr/bin/systemd-sysusers') || existsSync('/bin/systemd-sysusers'),
    },
    ...changed(),
  ]
}

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
