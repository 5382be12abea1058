/** Modes that are brought about in the TPM itself, so that everything else of it is consistent with them. */

import type { Mode, ModeName } from '../../../responders/modes/mode-table.ts'
import { SwtpmError } from '../../../system/errors.ts'
import type { Tpm } from '../../../tpm/tpm.ts'
import { responseCode } from '../../../tpm-commands/command.ts'
import { startupCommand } from '../../../tpm-commands/startup.ts'
import { shutdown } from '../../../tpm-commands/tpm2-commands.ts'
import { resultText } from '../../../tpm-structures/result-codes.ts'
import type { Send } from './send.ts'
import { allocateBanks, clear, fillNv, lockOut } from './tpm2-modes.ts'
import { deactivate, disable, forceClear } from './tpm12-modes.ts'

interface RealMode {
  readonly bring: (send: Send, value: string) => Promise<void>
  /** It is so from the next power on. */
  readonly powerCycle?: boolean
}

const TPM_RC_RETRY = 0x922
const MAX_ATTEMPTS = 100

const TPM2: Partial<Record<ModeName, RealMode>> = {
  lockout: { bring: lockOut },
  'nv-full': { bring: fillNv },
  unowned: { bring: clear },
  banks: { bring: allocateBanks, powerCycle: true },
}

const TPM12: Partial<Record<ModeName, RealMode>> = {
  unowned: { bring: forceClear, powerCycle: true },
  disabled: { bring: disable, powerCycle: true },
  deactivated: { bring: deactivate, powerCycle: true },
}

/**
 * Brings them about in a TPM that is on.
 * @param started whether Startup was sent, and so has to have been afterwards
 * @throws SwtpmError SWTPM_ERR_SCRIPT
 */
export async function bringAbout(tpm: Tpm, modes: readonly Mode[], started: boolean): Promise<void> {
  if (modes.length === 0) return
  const { version } = tpm
  const process = async (command: Buffer): Promise<Buffer> => {
    for (let attempt = 1; ; attempt++) {
      const { response } = await tpm.engine.process(command)
      // It has something to finish first.
      if (responseCode(response) !== TPM_RC_RETRY || attempt === MAX_ATTEMPTS) return response
    }
  }
  if (!started) await process(startupCommand(version, 'clear'))
  let powerCycle = !started
  for (const { name, value } of modes) {
    const real = (version === '2' ? TPM2 : TPM12)[name]
    if (real === undefined) continue
    try {
      await real.bring(async (command, expected = []) => {
        const response = await process(command)
        const code = responseCode(response) ?? 0
        if (code !== 0 && !expected.includes(code))
          throw new RangeError(
            `the TPM answers ${resultText(code, version)}; it takes one whose owner has set no passwords`,
          )
        return response
      }, value)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      const why = `Cannot bring the TPM into mode "${name}": ${error.message}`
      throw new SwtpmError('SWTPM_ERR_SCRIPT', why, { cause: error })
    }
    powerCycle ||= real.powerCycle ?? false
  }
  if (!powerCycle) return
  if (version === '2') await process(shutdown())
  await tpm.reset()
  if (started) await process(startupCommand(version, 'clear'))
}
