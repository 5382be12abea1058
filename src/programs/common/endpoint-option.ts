/** The options that say where the TPM is: --tpm-device, --tcp, --unix. */
import type { TpmAddress } from '../../ptm-client/tpm-address.ts'
import type { Given } from './options/given-options.ts'
import type { OptionTable } from './options/option-table.ts'
import { ToolFailure } from './tool-failure.ts'

const DEFAULT_HOST = '127.0.0.1'

export const endpointOptions = (device: string, port: number) =>
  ({
    'tpm-device': { group: 'TPM', value: 'DEVICE', describe: device },
    tcp: {
      group: 'TPM',
      value: '[HOST]:[PORT]',
      describe: `connect to a TCP port; ${DEFAULT_HOST} and ${port} where they are left out`,
    },
    unix: { group: 'TPM', value: 'PATH', describe: 'connect to a Unix socket' },
  }) as const satisfies OptionTable

type EndpointOption = keyof ReturnType<typeof endpointOptions>

/**
 * The endpoint that a command line names; a device goes before TCP, and TCP before a Unix socket.
 * @throws ToolFailure for a bad port
 */
export function givenEndpoint(given: Given<EndpointOption>, defaultPort: number): TpmAddress | undefined {
  const tcp = given.text('tcp')
  const tcpEndpoint = tcp === undefined ? undefined : parseTcp(tcp, defaultPort)
  const device = given.text('tpm-device')
  if (device !== undefined) return { kind: 'device', path: device }
  if (tcpEndpoint !== undefined) return tcpEndpoint
  const path = given.text('unix')
  return path === undefined ? undefined : { kind: 'unix', path }
}

/**
 * `HOST`, `:PORT`, `:` or `HOST:PORT`, the last colon being the one before the port; a literal IPv6 address may have
 * its usual brackets, and needs them if there is no port.
 */
export function parseTcp(text: string, defaultPort: number): TpmAddress {
  const [, host = '', port] = /^(\[[^\]]*\]|.*?)(?::([^:\]]*))?$/s.exec(text)!
  return {
    kind: 'tcp',
    host: host.replace(/^\[(.*)\]$/s, '$1') || DEFAULT_HOST,
    port: port === undefined || (port === '' && host === '') ? defaultPort : parsePort(port),
  }
}

export function parsePort(text: string): number {
  if (!/^\d+$/.test(text)) throw new ToolFailure(`Invalid port '${text}'`)
  const port = Number(text)
  if (port > 0xffff) throw new ToolFailure(`Port '${text}' outside valid range.`)
  return port
}
