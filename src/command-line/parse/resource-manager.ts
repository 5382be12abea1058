/** `--resource-manager`: what it cannot be combined with. */
import type { SwtpmConfig } from '../../serve/config.ts'
import { CommandLineError } from '../exit/command-line-error.ts'

/** @throws {CommandLineError} */
export function refuseUnmanageable(config: SwtpmConfig): void {
  if (!config.resourceManager) return
  const fault = faultOf(config)
  if (fault !== undefined)
    throw new CommandLineError('general', `--resource-manager: ${fault}`, 'resource-manager')
}

function faultOf(config: SwtpmConfig): string | undefined {
  if (config.tpmVersion !== '2') return 'a TPM 1.2 cannot be shared this way; give --tpm2'
  if (config.script?.behind !== undefined)
    return 'another TPM (--behind) is not ours to manage; use the resource manager that it has, or leave --behind out'
  if (config.interface !== 'socket') return undefined
  const { server } = config
  if (server === undefined || (server.kind === 'fd' && server.role === 'connection'))
    return 'there is no socket that many clients could connect to; give --server'
  if (server.disconnect)
    return 'a client has its keys and sessions as long as its connection; give --server without disconnect, and no --port'
  return undefined
}
