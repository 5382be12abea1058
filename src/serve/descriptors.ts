/** Descriptors that options name, checked together before this program opens anything. */
import { SwtpmError, type SwtpmErrorCode } from '../system/errors.ts'
import { type DescriptorUse, whyUnusable } from '../system/process/inherited-descriptors.ts'
import type { ChardevConfig, CommonConfig, ServerEndpoint, SocketConfig } from './config.ts'

type MayNameDescriptors = {
  readonly [key in keyof CommonConfig]?: CommonConfig[key]
} & {
  readonly server?: SocketConfig['server']
  readonly control?: ServerEndpoint | undefined
  readonly device?: ChardevConfig['device']
}

interface Named {
  readonly by: { readonly kind: string; readonly fd?: unknown } | undefined
  readonly what: string
  readonly use: DescriptorUse
  readonly code: SwtpmErrorCode
}

/** @throws SwtpmError for the first that is not open, or not what the option needs */
export function checkDescriptors(config: MayNameDescriptors): void {
  for (const { by, what, use, code } of namedBy(config)) {
    if (by?.kind !== 'fd' || typeof by.fd !== 'number') continue
    const reason = whyUnusable(by.fd, use)
    if (reason !== undefined)
      throw new SwtpmError(code, `Cannot use descriptor ${by.fd} for ${what}: ${reason}`)
  }
}

const namedBy = (config: MayNameDescriptors): Named[] => {
  const { server } = config
  return [
    { by: config.log?.destination, what: 'the log', use: 'write', code: 'SWTPM_ERR_LOG' },
    { by: config.pcap?.destination, what: 'the pcap file', use: 'write', code: 'SWTPM_ERR_LOG' },
    { by: config.trace?.destination, what: 'the trace', use: 'write', code: 'SWTPM_ERR_LOG' },
    { by: config.pid, what: 'the pid file', use: 'write', code: 'SWTPM_ERR_PID_FILE' },
    { by: config.readyFd, what: '--ready-fd', use: 'write', code: 'SWTPM_ERR_READY_FD' },
    { by: config.fileKey?.origin, what: 'the state key', use: 'read', code: 'SWTPM_ERR_STATE_KEY' },
    { by: config.migrationKey?.origin, what: 'the migration key', use: 'read', code: 'SWTPM_ERR_STATE_KEY' },
    { by: config.profile?.source, what: 'the profile', use: 'read', code: 'SWTPM_ERR_PROFILE' },
    { by: config.control, what: 'the control channel', use: 'socket', code: 'SWTPM_ERR_SOCKET' },
    // A connection, which --fd names, may be a terminal.
    {
      by: server,
      what: 'the data channel',
      use: server?.kind === 'fd' && server.role === 'connection' ? 'device' : 'socket',
      code: 'SWTPM_ERR_SOCKET',
    },
    { by: config.device, what: 'the device', use: 'device', code: 'SWTPM_ERR_DEVICE' },
  ]
}
