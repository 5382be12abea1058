/** swtpm_ioctl: one control command for a TPM. @see swtpm_ioctl(8) */

import { connectPtm } from '../../ptm-client/connect.ts'
import type { Endpoint } from '../../ptm-client/endpoint.ts'
import { answerTimeoutMs } from '../../ptm-client/time-limits.ts'
import type { CommandLine } from '../common/client/client-options.ts'
import { printHelp, versionText } from '../common/client/client-tool.ts'
import { givenEndpoint } from '../common/client/endpoint-option.ts'
import { getopt } from '../common/client/getopt-long-only.ts'
import { printOut } from '../common/client/output.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { ioctlCommands } from './ioctl-actions.ts'
import { DEFAULT_CONTROL_PORT, type IoctlOption, ioctlOptions } from './ioctl-options.ts'
import { parseBufferSize } from './numbers.ts'

const TOOL = 'swtpm_ioctl'

/** @returns the exit code */
export async function runIoctl(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const line = getopt(TOOL, ioctlOptions, ['help', 'version'], argv)
  switch (line.given.at(-1)?.name) {
    case 'version':
      printOut(versionText('TPM emulator control tool'))
      return 0
    case 'help':
      await help()
      return 0
  }
  const [command, ...more] = line.given.filter(({ name }) => ioctlCommands[name] !== undefined)
  if (command === undefined) throw new ToolFailure('No valid command.')
  if (more.length > 0) throw new ToolFailure('Only one command may be given.')
  const action = ioctlCommands[command.name]!(command, parseBufferSize(env.SWTPM_IOCTL_BUFFERSIZE))

  const endpoint = chooseEndpoint(line, env)
  const transport = endpoint.kind === 'device' ? 'device' : 'socket'
  const client = await connectPtm(endpoint, answerTimeoutMs(transport, env.SWTPM_IOCTL_TIMEOUT))
  try {
    await action(client)
  } finally {
    client.close()
  }
  return 0
}

function chooseEndpoint(line: CommandLine<IoctlOption>, env: NodeJS.ProcessEnv): Endpoint {
  const endpoint = givenEndpoint(line, DEFAULT_CONTROL_PORT)
  const [device, ...surplus] = endpoint === undefined ? line.strays : [undefined, ...line.strays]
  if (surplus.length > 0) throw new ToolFailure(`Unknown parameter '${surplus[0]}'`)
  if (endpoint !== undefined) return endpoint
  const path = device ?? env.TPM_DEVICE
  if (path === undefined || path === '') {
    throw new ToolFailure('Missing device name; name the TPM with --tpm-device, --tcp or --unix.')
  }
  return { kind: 'device', path }
}

const help = (): Promise<void> =>
  printHelp({
    tool: TOOL,
    summary: 'Sends one control command to a TPM.',
    table: ioctlOptions,
    examples: [
      ['$0 --unix /run/vtpm/ctrl -i', 'start the TPM behind a control socket'],
      ['$0 -c /dev/vtpm0', 'what a CUSE TPM can do'],
      ['$0 --tcp :6546 --save permanent state.bin', 'save the permanent state'],
    ],
    epilogue:
      'Environment: SWTPM_IOCTL_BUFFERSIZE moves state blobs to and from a device by read() and write() of that many ' +
      'bytes; SWTPM_IOCTL_TIMEOUT is the number of seconds to wait for an answer (20, with a device 60).',
  })
