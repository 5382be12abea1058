/** swtpm_bios: does with a TPM what a computer's firmware does. @see swtpm_bios(8) */

import type { TpmAddress } from '../../ptm-client/tpm-address.ts'
import { givenEndpoint, parsePort } from '../common/endpoint-option.ts'
import type { GivenOptions } from '../common/options/given-options.ts'
import { UsageError } from '../common/options/usage-error.ts'
import { printError, printOut } from '../common/output.ts'
import { type biosOptions, DEFAULT_DATA_PORT } from './bios-options.ts'
import { planOf } from './plan.ts'
import { runSequence } from './sequence.ts'
import { tpmLink } from './tpm-link.ts'

/** @returns the exit code */
export async function runBios(
  options: GivenOptions<typeof biosOptions>,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const stray = options.strays[0]
  if (stray !== undefined) {
    throw new UsageError(`Unknown parameter '${stray}'; a device is named with --tpm-device`)
  }
  return runSequence(planOf(options), tpmLink(chooseEndpoint(options, env)), {
    out: (text) => printOut(`${text}\n`),
    error: (text) => printError(`${text}\n`),
  })
}

/** The command line, then TCSD_USE_TCP_DEVICE, which TrouSerS has, then TPM_DEVICE. */
function chooseEndpoint(options: GivenOptions<typeof biosOptions>, env: NodeJS.ProcessEnv): TpmAddress {
  const address = givenEndpoint(options, DEFAULT_DATA_PORT)
  if (address !== undefined) return address
  if (env.TCSD_USE_TCP_DEVICE !== undefined) {
    const port = env.TCSD_TCP_DEVICE_PORT
    return {
      kind: 'tcp',
      host: env.TCSD_TCP_DEVICE_HOSTNAME ?? 'localhost',
      port: port === undefined ? DEFAULT_DATA_PORT : parsePort(port),
    }
  }
  return { kind: 'device', path: env.TPM_DEVICE ?? '/dev/tpm0' }
}
