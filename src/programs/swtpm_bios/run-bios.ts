/** swtpm_bios: starts a TPM up as a computer's firmware does. @see swtpm_bios(8) */

import type { Endpoint } from '../../ptm-client/endpoint.ts'
import type { CommandLine } from '../common/client/client-options.ts'
import { printHelp, versionText } from '../common/client/client-tool.ts'
import { givenEndpoint, parsePort } from '../common/client/endpoint-option.ts'
import { getopt } from '../common/client/getopt-long-only.ts'
import { printError, printOut } from '../common/client/output.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { type BiosOption, biosOptions, DEFAULT_DATA_PORT } from './bios-options.ts'
import { planOf } from './plan.ts'
import { runSequence } from './sequence.ts'
import { tpmLink } from './tpm-link.ts'

const TOOL = 'swtpm_bios'

/** @returns the exit code */
export async function runBios(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const line = getopt(TOOL, biosOptions, ['h', 'v'], argv)
  switch (line.given.at(-1)?.name) {
    case 'v':
      printOut(versionText('TPM emulator BIOS emulator'))
      return 0
    case 'h':
      await help()
      return 0
  }
  const stray = line.strays[0]
  if (stray !== undefined) {
    throw new ToolFailure(`Unknown parameter '${stray}'; a device is named with --tpm-device`)
  }
  return runSequence(planOf(line), tpmLink(chooseEndpoint(line, env)), {
    out: (text) => printOut(`${text}\n`),
    error: (text) => printError(`${text}\n`),
  })
}

/** The command line, then TCSD_USE_TCP_DEVICE, which TrouSerS has, then TPM_DEVICE. */
function chooseEndpoint(line: CommandLine<BiosOption>, env: NodeJS.ProcessEnv): Endpoint {
  const endpoint = givenEndpoint(line, DEFAULT_DATA_PORT)
  if (endpoint !== undefined) return endpoint
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

const help = (): Promise<void> =>
  printHelp({
    tool: TOOL,
    summary:
      'Starts a TPM up as firmware does: start-up, then (TPM 1.2, unless -o) physical presence, enable and ' +
      'activate, then the further steps that are asked for.',
    table: biosOptions,
    examples: [
      [
        '$0 --tpm2 --unix /run/vtpm/data --cs -u',
        'start up a TPM 2.0, test it and lock its platform hierarchy',
      ],
      ['$0 --tcp :6545 -n -u', 'give up the physical presence of a running TPM 1.2'],
    ],
    epilogue:
      'Exit codes: 0 done, 128 the TPM refused a step, 129 the TPM must be reset (-ea), 255 the TPM cannot be reached, 1 ' +
      'wrong command line. Environment: TPM_DEVICE; TCSD_USE_TCP_DEVICE with TCSD_TCP_DEVICE_HOSTNAME and ' +
      'TCSD_TCP_DEVICE_PORT.',
  })
