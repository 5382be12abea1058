/** Whether swtpm_setup could make certificates for this user. */
import { constants, existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { sentenceOf } from '../../../../system/fault.ts'
import { refusal } from '../../../common/access.ts'
import { chooseCa } from '../../../common/ca-choice.ts'
import { type Check, ok, warning } from '../check.ts'

const OWN_CA = 'set XDG_CONFIG_HOME to a folder of this user, or run `swtpm_setup --create-config-files`'

/** Without it TPMs can be made, and have no certificates. */
export function certificates(): Check {
  try {
    const folder = resolve(chooseCa(undefined).config.required('statedir'))
    const place = existing(folder)
    const reason = refusal(place, constants.W_OK | constants.X_OK)
    if (reason !== undefined)
      return warning(
        'ca',
        `the CA for certificates cannot be kept in ${folder}: ${reason} (${place})`,
        OWN_CA,
      )
    return ok(
      'ca',
      `certificates are made by the CA in ${folder}${place === folder ? '' : ', which is made at its first use'}`,
    )
  } catch (error) {
    return warning('ca', sentenceOf(error), OWN_CA)
  }
}

/** The folder, or the nearest one above it that is there. */
const existing = (folder: string): string =>
  existsSync(folder) || folder === dirname(folder) ? folder : existing(dirname(folder))
