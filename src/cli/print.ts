/** The requests that print something and end: help, version, capabilities, states, profiles, info. */

import { EngineClient } from '../engine-client/engine-client.ts'
import { engineInfo } from '../engine-client/engine-process.ts'
import { log } from '../log.ts'
import { TPM_RETRY, TPM_SUCCESS } from '../protocol/tpm-result.ts'
import { PTM_BLOB_TYPE_PERMANENT, PTM_BLOB_TYPE_SAVESTATE, PTM_BLOB_TYPE_VOLATILE } from '../ptm/structs.ts'
import { openState } from '../state/state-location.ts'
import { engineOptions } from '../supervisor/engine-options.ts'
import type { PrintRequest } from './parse.ts'

/** @returns the exit code */
export async function print(request: PrintRequest): Promise<number> {
  switch (request.action) {
    case 'help': {
      const { interfaceHelp } = await import('./help/interface-help.ts')
      process.stdout.write(await interfaceHelp(request.interface))
      return 0
    }
    case 'version': {
      const { versionLine } = await import('../version.ts')
      process.stdout.write(`${versionLine(request.interface)}\n`)
      return 0
    }
    case 'print-capabilities': {
      const { CAPABILITY_INFO_FLAGS, capabilitiesJson } = await import('./capabilities.ts')
      const engine = engineInfo(CAPABILITY_INFO_FLAGS, request.tpmVersion)
      process.stdout.write(`${capabilitiesJson(request.interface, request.tpmVersion, engine)}\n`)
      return 0
    }
    case 'print-states':
      return printStates(request)
    case 'print-profiles':
    case 'print-info': {
      const flags = request.action === 'print-info' ? request.infoFlags : TPMLIB_INFO_AVAILABLE_PROFILES
      const { info } = engineInfo(flags, request.tpmVersion)
      process.stdout.write(`${JSON.stringify(info ?? {})}\n`)
      return 0
    }
  }
}

/** libtpms 0.10 and later; older ones answer nothing. */
const TPMLIB_INFO_AVAILABLE_PROFILES = 64

const STATE_NAMES = [
  ['permall', PTM_BLOB_TYPE_PERMANENT],
  ['volatilestate', PTM_BLOB_TYPE_VOLATILE],
  ['savestate', PTM_BLOB_TYPE_SAVESTATE],
] as const

/** One line of JSON without a newline, as the reference prints it. */
async function printStates(request: Extract<PrintRequest, { action: 'print-states' }>): Promise<number> {
  log.configure(request.log)
  const { fd } = openState(request.state, '', false)
  const engine = new EngineClient(engineOptions(request, fd, false, undefined))
  const states: string[] = []
  let failed = false
  for (const [name, type] of STATE_NAMES) {
    const { tpmResult, size } = await engine.peekState(type)
    if (tpmResult === TPM_SUCCESS) states.push(` {"name": "${name}", "size": ${size}}`)
    else if (tpmResult !== TPM_RETRY) failed = true
  }
  await engine.close()
  if (failed) return 1
  process.stdout.write(`{ "type": "swtpm", "states": [${states.join(',')}${states.length > 0 ? ' ' : ''}] }`)
  return 0
}
