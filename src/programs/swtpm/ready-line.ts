/**
 * What a person at a terminal is told when `swtpm socket` serves: where, and what to paste so that tpm2-tools find the TPM. Programs
 * that start swtpm get no such line: their standard error is no terminal.
 */
import { isatty } from 'node:tty'
import type { ControlEndpoint, DataEndpoint, SocketConfig } from '../../serve/config.ts'
import { printError } from '../common/output.ts'

const STDERR = 2

export function tellPersonReady(config: SocketConfig): void {
  if (isatty(STDERR)) printError(`${readyText(config)}\n`)
}

type Where = Pick<SocketConfig, 'server' | 'control' | 'tpmVersion' | 'flags'>

/** Exported for its test. */
export function readyText({ server, control, tpmVersion, flags }: Where): string {
  const places = [
    ...(server === undefined ? [] : [`commands on ${placeOf(server)}`]),
    ...(control === undefined ? [] : [`control on ${placeOf(control)}`]),
  ]
  const lines = [`TPM ${tpmVersion === '2' ? '2.0' : '1.2'} ready: ${places.join(', ')}`]
  if (tpmVersion === '2' && server !== undefined) lines.push(...forTools(server, control))
  if (flags.needInit)
    lines.push(
      '  It is off until it gets INIT (`swtpm_ioctl -i`); --flags startup-clear powers it on at once',
    )
  return lines.join('\n')
}

/** tpm2-tools want the control channel beside the data channel. @see tcti-swtpm(7) */
function forTools(server: DataEndpoint, control: ControlEndpoint | undefined): string[] {
  if (server.kind === 'tcp' && server.port !== 0) {
    const host = /^(0\.0\.0\.0|::)$/.test(server.bindAddress) ? 'localhost' : server.bindAddress
    const beside = server.port + 1
    if (control?.kind === 'tcp' && control.port === beside)
      return [`  export TPM2TOOLS_TCTI=swtpm:host=${host},port=${server.port}`]
    return [`  tpm2-tools need the control channel at the next port: --ctrl type=tcp,port=${beside}`]
  }
  if (server.kind === 'unix') {
    const beside = `${server.path}.ctrl`
    if (control?.kind === 'unix' && control.path === beside)
      return [`  export TPM2TOOLS_TCTI=swtpm:path=${server.path}`]
    return [`  tpm2-tools need the control channel beside it: --ctrl type=unixio,path=${beside}`]
  }
  return []
}

function placeOf(endpoint: DataEndpoint | ControlEndpoint): string {
  switch (endpoint.kind) {
    case 'tcp': {
      const { bindAddress, port } = endpoint
      const host = bindAddress.includes(':') ? `[${bindAddress}]` : bindAddress
      return port === 0 ? `a free port of ${host}` : `${host}:${port}`
    }
    case 'unix':
      return endpoint.path
    case 'fd':
      return `descriptor ${endpoint.fd}`
  }
}
