/** What the command line of swtpm_bios asks for. */

import type { TpmVersion } from '../../../contract/engine-options.ts'
import type { StartupType } from '../../tpm-commands/startup.ts'
import type { GivenOptions } from '../common/options/given-options.ts'
import type { BiosOption, biosOptions } from './bios-options.ts'

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
export function planOf(options: GivenOptions<typeof biosOptions>): BiosPlan {
  let startup: BiosPlan['startup'] = 'clear'
  let enable = true
  for (const { name } of options.list) {
    const chosen = STARTUPS[name]
    if (chosen !== undefined) startup = chosen
    if (chosen !== undefined || name === 'o') enable = name !== 'o' && name !== 'd'
  }
  const version = options.has('tpm2') ? '2' : '1.2'
  return {
    version,
    startup: version === '2' && startup === 'deactivated' ? 'none' : startup,
    enable,
    selfTest: options.has('cs'),
    ensureActivated: options.has('ea'),
    giveUpControl: options.has('u'),
  }
}

const STARTUPS: { readonly [option in BiosOption]?: BiosPlan['startup'] } = {
  c: 'clear',
  s: 'state',
  d: 'deactivated',
  n: 'none',
}
