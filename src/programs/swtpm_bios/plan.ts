/** What the command line of swtpm_bios asks for. */

import type { TpmVersion } from '../../../contract/engine-options.ts'
import type { StartupType } from '../../tpm-commands/tpm-header.ts'
import type { CommandLine } from '../common/client/client-options.ts'
import type { BiosOption } from './bios-options.ts'

export interface BiosPlan {
  readonly version: TpmVersion
  readonly startup: StartupType | 'none'
  /** TPM 1.2: assert physical presence, enable and activate. */
  readonly enable: boolean
  readonly selfTest: boolean
  /** TPM 1.2: find out whether activation needs a reset. */
  readonly ensureActivated: boolean
  /** Give up physical presence, or the platform hierarchy's empty password. */
  readonly giveUpControl: boolean
}

/**
 * Options work in their order: -o and -d leave out the enabling, and a later -c, -s or -n has it back.
 */
export function planOf(line: CommandLine<BiosOption>): BiosPlan {
  const has = (name: BiosOption): boolean => line.given.some((option) => option.name === name)
  let startup: BiosPlan['startup'] = 'clear'
  let enable = true
  for (const { name } of line.given) {
    const chosen = STARTUPS[name]
    if (chosen !== undefined) startup = chosen
    if (chosen !== undefined || name === 'o') enable = name !== 'o' && name !== 'd'
  }
  const version = has('tpm2') ? '2' : '1.2'
  return {
    version,
    startup: version === '2' && startup === 'deactivated' ? 'none' : startup,
    enable,
    selfTest: has('cs'),
    ensureActivated: has('ea'),
    giveUpControl: has('u'),
  }
}

const STARTUPS: { readonly [option in BiosOption]?: BiosPlan['startup'] } = {
  c: 'clear',
  s: 'state',
  d: 'deactivated',
  n: 'none',
}
