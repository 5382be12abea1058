/** swtpm_ioctl: one control command for a TPM. @see swtpm_ioctl(8) */

import { answerTimeoutMs, connectPtm } from '../../ptm-client/connect-ptm.ts'
import type { TpmAddress } from '../../ptm-client/tpm-address.ts'
import { givenEndpoint } from '../common/endpoint-option.ts'
import type { GivenOptions } from '../common/options/given-options.ts'
import { UsageError } from '../common/options/usage-error.ts'
import { printOut } from '../common/output.ts'
import { ioctlCommands, type Show } from './ioctl-actions.ts'
import { DEFAULT_CONTROL_PORT, type ioctlOptions } from './ioctl-options.ts'
import { parseBufferSize } from './numbers.ts'

type Options = GivenOptions<typeof ioctlOptions>

/** --info is JSON as it is. */
const WITH_JSON: readonly string[] = ['c', 'e', 'g', 'b', 'info']

const showText: Show = (text) => printOut(text)
const showJson: Show = (_, json) => printOut(`${JSON.stringify(json)}\n`)

/** @returns the exit code */
export async function runIoctl(options: Options, env: NodeJS.ProcessEnv): Promise<number> {
  const [command, ...more] = options.list.filter(({ name }) => ioctlCommands[name] !== undefined)
  if (command === undefined) throw new UsageError('No valid command.')
  if (more.length > 0) throw new UsageError('Only one command may be given.')
  const action = ioctlCommands[command.name]!(command, parseBufferSize(env.SWTPM_IOCTL_BUFFERSIZE))

  if (options.has('json') && !WITH_JSON.includes(command.name))
    throw new UsageError('--json is for -c, -e, -g and -b', 'json')

  const address = chooseEndpoint(options, env)
  const transport = address.kind === 'device' ? 'device' : 'socket'
  const client = await connectPtm(address, answerTimeoutMs(transport, env.SWTPM_IOCTL_TIMEOUT))
  try {
    await action(client, options.has('json') ? showJson : showText)
  } finally {
    client.close()
  }
  return 0
}

function chooseEndpoint(options: Options, env: NodeJS.ProcessEnv): TpmAddress {
  const address = givenEndpoint(options, DEFAULT_CONTROL_PORT)
  const [device, ...surplus] = address === undefined ? options.strays : [undefined, ...options.strays]
  if (surplus.length > 0) throw new UsageError(`Unknown parameter '${surplus[0]}'`)
  if (address !== undefined) return address
  const path = device ?? env.TPM_DEVICE
  if (path === undefined || path === '') {
    throw new UsageError('Missing device name; name the TPM with --tpm-device, --tcp or --unix.')
  }
  return { kind: 'device', path }
}
