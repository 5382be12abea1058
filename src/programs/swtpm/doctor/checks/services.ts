/** Whether the machine can have a TPM at each of its starts. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { REMEDIES } from '../../../../system/missing-things.ts'
import { type Check, firstOf, missing, ok } from '../check.ts'

const FOLDERS = [
  '/etc/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
]
const UNITS = ['swtpm-vtpm-proxy@.service', 'swtpm-cuse@.service'] as const

export function services(): Check[] {
  // As sd_booted(3) does.
  if (!existsSync('/run/systemd/system'))
    return [missing('systemd', 'systemd is not the init of this system: swtpm brings units for no other')]
  const running = ok('systemd', 'systemd runs')
  const lacking = UNITS.filter(
    (unit) => firstOf(...FOLDERS.map((folder) => join(folder, unit))) === undefined,
  )
  if (lacking.length > 0)
    return [
      running,
      missing(
        'units',
        `${lacking.join(' and ')} ${lacking.length === 1 ? 'is' : 'are'} in no folder of systemd`,
        REMEDIES.installation,
      ),
    ]
  return [
    running,
    ok('units', `${UNITS.join(' and ')} are there: \`systemctl enable --now swtpm-vtpm-proxy@NAME\``),
  ]
}
