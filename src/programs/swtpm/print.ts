/** The requests that print something and end: help, version, capabilities, states, profiles, info. */

import { statSync } from 'node:fs'
import { STATE_BLOBS } from '../../../contract/state-blobs.ts'
import { TPM_RETRY, TPM_SUCCESS } from '../../../contract/tpm-result.ts'
import { INFO_AVAILABLE_PROFILES } from '../../../contract/verb-structures.ts'
import { engineInfo } from '../../engine-client/channel/engine-info.ts'
import type { PrintRequest, StoredTpm } from '../../serve/config.ts'
import { type OpenTpm, openTpm } from '../../serve/open-tpm.ts'
import { startSpawner } from '../../serve/spawners.ts'
import { log } from '../../system/log.ts'
import type { StateLocation } from '../../tpm/state/state-location.ts'
import { printOut } from '../common/output.ts'

/** @returns the exit code */
export async function print(request: PrintRequest): Promise<number> {
  switch (request.action) {
    case 'help': {
      const { interfaceHelp } = await import('./help/interface-help.ts')
      printOut(await interfaceHelp(request.interface))
      return 0
    }
    case 'version': {
      const { programVersion } = await import('./help/program-help.ts')
      printOut(programVersion(request.interface))
      return 0
    }
    case 'fault-help': {
      const { effectHelp } = await import('../../responders/rules/effect-help.ts')
      printOut(effectHelp())
      return 0
    }
    case 'mode-help': {
      const { modeHelp } = await import('../../responders/modes/mode-table.ts')
      printOut(modeHelp())
      return 0
    }
    case 'print-capabilities': {
      const { CAPABILITY_INFO_FLAGS, capabilitiesJson } = await import('./capabilities.ts')
      const engine = engineInfo(CAPABILITY_INFO_FLAGS, request.tpmVersion)
      printOut(`${capabilitiesJson(request.interface, request.tpmVersion, engine)}\n`)
      return 0
    }
    case 'print-states':
      return printStates(request)
    case 'print-profiles':
      return printInfo(INFO_AVAILABLE_PROFILES, request)
    case 'print-info':
      return request.stored === undefined
        ? printInfo(request.infoFlags, request)
        : printInfoOfTpm({ ...request, ...request.stored })
  }
}

/** What libtpms says without a TPM. */
function printInfo(flags: number, { tpmVersion, seedInsecure }: PrintRequest): number {
  const { info } = engineInfo(flags, tpmVersion)
  const json = JSON.stringify(info ?? {})
  printOut(`${seedInsecure === undefined ? json : withSeed(json, seedInsecure)}\n`)
  return 0
}

/** Opens a TPM for as long as `work` takes. */
async function withTpm<T>(
  request: PrintRequest & StoredTpm,
  work: (opened: OpenTpm) => Promise<T>,
): Promise<T> {
  log.configure(request.log)
  const spawner = await startSpawner(request)
  try {
    const opened = openTpm({ ...request, migration: { ...request.migration, incoming: false } }, spawner)
    try {
      return await work(opened)
    } finally {
      await opened.close()
    }
  } finally {
    await spawner.close()
  }
}

/** What libtpms says of a TPM, its profile for one. It is powered on for that, and made if there is none. */
async function printInfoOfTpm(
  request: Extract<PrintRequest, { action: 'print-info' }> & StoredTpm,
): Promise<number> {
  return withTpm(request, async ({ tpm, equip }) => {
    await equip()
    if ((await tpm.init(0)) !== TPM_SUCCESS) return 1
    const info = await tpm.forward('GET_INFO', { flags: BigInt(request.infoFlags), offset: 0, pad: 0 })
    if (!('buffer' in info)) return 1
    // Without the NUL at its end.
    const text = info.buffer.toString('utf8', 0, info.length - 1)
    printOut(`${request.seedInsecure === undefined ? text : withSeed(text, request.seedInsecure)}\n`)
    return 0
  })
}

const withSeed = (json: string, seedInsecure: number): string =>
  JSON.stringify({ ...JSON.parse(json), SeedInsecure: seedInsecure })

/**
 * One line of JSON without a newline, as the reference prints it. It only looks, so it needs no lock and may look at a TPM that
 * runs; a directory that is not there has no state.
 */
async function printStates(request: Extract<PrintRequest, { action: 'print-states' }>): Promise<number> {
  const states: string[] = []
  const { state } = request
  const failed =
    !isMissing(state) &&
    (await withTpm({ ...request, state: { ...state, lock: false } }, async ({ engine }) => {
      let failed = false
      for (const { name, type } of Object.values(STATE_BLOBS)) {
        const { tpmResult, size } = await engine.peekState(type)
        if (tpmResult === TPM_SUCCESS) states.push(` {"name": "${name}", "size": ${size}}`)
        else if (tpmResult !== TPM_RETRY) failed = true
      }
      return failed
    }))
  if (failed) return 1
  printOut(`{ "type": "swtpm", "states": [${states.join(',')}${states.length > 0 ? ' ' : ''}] }`)
  return 0
}

function isMissing({ kind, path }: StateLocation): boolean {
  try {
    statSync(path)
    return false
  } catch (error) {
    // What else is wrong with it is said when it is opened.
    return kind === 'dir' && (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}
