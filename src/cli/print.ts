/** The requests that print something and end: help, version, capabilities, states, profiles, info. */
import { engineInfo } from '../engine-client/engine-process.ts'
import type { PrintRequest } from './parse.ts'

/** @returns the exit code */
export async function print(request: PrintRequest): Promise<number> {
  switch (request.action) {
    case 'print-capabilities': {
      const { CAPABILITY_INFO_FLAGS, capabilitiesJson } = await import('./capabilities.ts')
      const engine = engineInfo(CAPABILITY_INFO_FLAGS, request.tpmVersion)
      process.stdout.write(`${capabilitiesJson(request.interface, request.tpmVersion, engine)}\n`)
      return 0
    }
    default:
      throw new Error(`${request.action} is not there yet`)
  }
}
