/** A new TPM of ours in memory, for as long as a recording is replayed to it. */

import { TPM_SUCCESS } from '../../../../contract/tpm-result.ts'
import type { ReplayTarget } from '../../../behind/replay/target.ts'
import { parseCommandLine } from '../../../command-line/parse/parse-command-line.ts'
import type { TpmVersion } from '../../../serve/config.ts'
import { openTpm } from '../../../serve/open-tpm.ts'
import { startSpawner } from '../../../serve/spawners.ts'
import { SwtpmError } from '../../../system/errors.ts'
import { IN_MEMORY } from '../../../tpm/state/in-memory.ts'

/** What a command line has to name, and is not used. */
const NOWHERE = '/nonexistent'

/** Powered on, and not started up. @throws SwtpmError */
export async function openOurTpm(version: TpmVersion): Promise<ReplayTarget & { close(): Promise<void> }> {
  const words = ['--tpmstate', `dir=${NOWHERE}`, '--ctrl', `type=unixio,path=${NOWHERE}`]
  const config = parseCommandLine([...(version === '2' ? ['--tpm2'] : []), ...words], {}, 'socket')
  if (config.action !== 'run') throw new TypeError('a command line that serves nothing')
  const spawner = await startSpawner(config)
  const opened = openTpm({ ...config, state: IN_MEMORY, engine: { ...config.engine, sync: false } }, spawner)
  const close = async (): Promise<void> => {
    await opened.close()
    await spawner.close()
  }
  try {
    await opened.equip()
    await opened.tpm.powerOn(0)
  } catch (error) {
    await close()
    throw error
  }
  return {
    name: 'ours',
    hasLocalities: true,
    async ask(command, locality) {
      const { tpmResult, response } = await opened.engine.process(command, locality)
      if (tpmResult !== TPM_SUCCESS)
        throw new SwtpmError(
          'SWTPM_ERR_TPM_INIT',
          `The TPM does not take a command: result 0x${tpmResult.toString(16)}`,
        )
      return response
    },
    close,
  }
}
