/** A copy of a TPM in the memory of an engine: what it does there reaches no file, and no client. */

import type { TpmVersion } from '../../../../../contract/engine-options.ts'
import type { BlobType } from '../../../../../contract/state-blobs.ts'
import { TPM_SUCCESS } from '../../../../../contract/tpm-result.ts'
import { parseCommandLine } from '../../../../command-line/parse/parse-command-line.ts'
import { engineInfo } from '../../../../engine-client/channel/engine-info.ts'
import { restoreBlobs } from '../../../../library/snapshot.ts'
import { Response } from '../../../../responders/response.ts'
import { type OpenTpm, openTpm } from '../../../../serve/open-tpm.ts'
import { startSpawner } from '../../../../serve/spawners.ts'
import { Fault } from '../../../../system/errors.ts'
import { sentenceOf } from '../../../../system/fault.ts'
import { log } from '../../../../system/log.ts'
import { IN_MEMORY } from '../../../../tpm/state/in-memory.ts'
import { makeMigrationBlob } from '../../../../tpm/state/stored/state-blob.ts'
import { StateFault } from '../../../../tpm/state/stored/state-fault.ts'
import { startupCommand } from '../../../../tpm-commands/startup.ts'
import { decodeCommand } from '../../../../tpm-structures/decode-command.ts'

/** What a command line has to name, and is not used. */
const NOWHERE = '/nonexistent'
/** TPM_RC_INITIALIZE and TPM_INVALID_POSTINIT: it waits for Startup. */
const NOT_STARTED = { '2': 0x100, '1.2': 0x26 } as const
const INFO_ACTIVE_PROFILE = 32

export type PlainStates = Readonly<Partial<Record<BlobType, Buffer>>>

export interface CopiedTpm {
  readonly version: TpmVersion
  readonly libtpms: string
  /** @throws Fault where the TPM answers with a failure */
  ask(command: Buffer): Promise<Response>
  /** The same, and a failure is an answer. */
  try(command: Buffer): Promise<Response>
  profile(): Promise<unknown>
}

/**
 * Powers the copy on, and starts it up where no volatile state has done so.
 * @throws StateFault `damaged`: libtpms refuses the state, and says why
 */
export async function withCopy<T>(
  version: TpmVersion,
  states: PlainStates,
  use: (tpm: CopiedTpm) => Promise<T>,
): Promise<T> {
  // The engine's words are part of ours.
  log.configure({ destination: { kind: 'none' }, level: 1, prefix: '', format: 'text' })
  const words = ['--tpmstate', `dir=${NOWHERE}`, '--ctrl', `type=unixio,path=${NOWHERE}`]
  const config = parseCommandLine([...(version === '2' ? ['--tpm2'] : []), ...words], {}, 'socket')
  if (config.action !== 'run') throw new TypeError('a command line that serves nothing')
  const spawner = await startSpawner(config)
  try {
    const opened = openTpm(
      { ...config, state: IN_MEMORY, engine: { ...config.engine, sync: false } },
      spawner,
    )
    try {
      await opened.equip()
      await powerOn(opened, version, states)
      return await use(copyOf(opened, version))
    } finally {
      await opened.close()
    }
  } finally {
    await spawner.close()
  }
}

async function powerOn(opened: OpenTpm, version: TpmVersion, states: PlainStates): Promise<void> {
  const said: string[] = []
  opened.engine.on('log', (level, text) => {
    if (level <= 1) said.push(text.trim())
  })
  const blob = (state: Buffer | undefined): Buffer =>
    state === undefined ? Buffer.alloc(0) : makeMigrationBlob(state)
  const { permanent, volatile, savestate } = states
  try {
    await restoreBlobs(opened.tpm, {
      version,
      blobs: { permanent: blob(permanent), volatile: blob(volatile), savestate: blob(savestate) },
    })
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    const why = said.find((text) => /^Cannot use/.test(text)) ?? said[0]
    throw new StateFault('damaged', `libtpms refuses the state: ${why ?? sentenceOf(error)}`, {
      cause: error,
    })
  }
}

function copyOf({ engine, tpm }: OpenTpm, version: TpmVersion): CopiedTpm {
  const attempt = async (command: Buffer): Promise<Response> => {
    const { tpmResult, response } = await engine.process(command)
    if (tpmResult !== TPM_SUCCESS)
      throw new StateFault('damaged', `the TPM takes no command: result 0x${tpmResult.toString(16)}`)
    return new Response({ version, command: decodeCommand(command) }, response)
  }
  const started = async (command: Buffer): Promise<Response> => {
    const response = await attempt(command)
    if (response.code !== NOT_STARTED[version]) return response
    await attempt(startupCommand(version, 'clear'))
    return attempt(command)
  }
  return {
    version,
    libtpms: engineInfo(0, version).libtpms,
    try: started,
    async ask(command) {
      const response = await started(command)
      if (response.code === 0) return response
      throw new StateFault('damaged', `the TPM does not tell what it has: ${response.text}`)
    },
    async profile() {
      const info = await tpm.forward('GET_INFO', { flags: BigInt(INFO_ACTIVE_PROFILE), offset: 0, pad: 0 })
      if (!('buffer' in info)) return undefined
      const text = info.buffer.toString('utf8', 0, Math.max(0, info.length - 1))
      try {
        return (JSON.parse(text) as { ActiveProfile?: unknown }).ActiveProfile
      } catch {
        return undefined
      }
    },
  }
}
