/**
 * What a BIOS does with a TPM, step by step. A step that the TPM refuses is reported and the next one tried all the same;
 * only a TPM that cannot be reached ends the sequence.
 */

import { TPM_SUCCESS } from '../../../contract/tpm-result.ts'
import * as bios from '../../tpm-commands/bios-commands.ts'
import { responseCode } from '../../tpm-commands/command.ts'
import { selfTestCommand, startupCommand } from '../../tpm-commands/startup.ts'
import * as presence from '../../tpm-commands/tpm12-presence.ts'
import { namedResult } from '../../tpm-structures/result-codes.ts'
import type { BiosPlan } from './plan.ts'
import type { Transmit } from './tpm-link.ts'

/** Exit codes. */
export const DONE = 0
export const TPM_ERROR = 128
export const RESET_NEEDED = 129

/** How long commands may take, in milliseconds; ten times what the TPM promises, for slow machines. */
const SHORT_MS = 20_000
const LONG_MS = 600_000

const PLATFORM_PASSWORD_BYTES = 20

export interface BiosOutput {
  out(line: string): void
  error(line: string): void
}

/** @returns the exit code */
export function runSequence(plan: BiosPlan, transmit: Transmit, output: BiosOutput): Promise<number> {
  return plan.version === '2' ? tpm2Sequence(plan, transmit, output) : tpm12Sequence(plan, transmit, output)
}

/** Sends commands and remembers whether the TPM refused one. */
class Steps {
  readonly #transmit: Transmit
  readonly #version: BiosPlan['version']
  readonly #report: (line: string) => void
  refused = false

  constructor(transmit: Transmit, version: BiosPlan['version'], report: (line: string) => void) {
    this.#transmit = transmit
    this.#version = version
    this.#report = report
  }

  /** @returns the response, unless it is an error */
  async send(name: string, command: Buffer, timeoutMs: number = SHORT_MS): Promise<Buffer | undefined> {
    const response = await this.#transmit(command, timeoutMs, name)
    const code = responseCode(response)
    if (code === TPM_SUCCESS) return response
    this.refused = true
    const number = `0x${(code ?? 0).toString(16).padStart(8, '0')}`
    this.#report(`${name} returned error code ${namedResult(number, this.#version)}`)
    return undefined
  }
}

async function tpm12Sequence(plan: BiosPlan, transmit: Transmit, output: BiosOutput): Promise<number> {
  const steps = new Steps(transmit, plan.version, (line) => output.error(line))
  if (plan.startup !== 'none') {
    const type = { clear: '0x01', state: '0x02', deactivated: '0x03' }[plan.startup]
    await steps.send(`TPM_Startup(${type})`, startupCommand('1.2', plan.startup))
  }
  if (plan.enable) {
    await commandEnable(steps)
    const present = presence.physicalPresence(presence.TPM_PHYSICAL_PRESENCE_PRESENT)
    await steps.send('TSC_PhysicalPresence(PRESENT)', present)
    // Asked before the activation, which takes effect with the next reset only.
    const flags = plan.ensureActivated
      ? await steps.send('TPM_GetCapability()', bios.getPermanentFlags())
      : undefined
    await steps.send('TPM_PhysicalEnable', presence.physicalEnable())
    await steps.send('TPM_PhysicalSetDeactivated', presence.physicalSetDeactivated(false))
    if (flags !== undefined && bios.isDeactivated(flags)) {
      output.out('TPM requires a reset')
      return RESET_NEEDED
    }
  }
  if (plan.selfTest) await steps.send('TPM_ContinueSelfTest', selfTestCommand('1.2'), LONG_MS)
  if (plan.giveUpControl) {
    await commandEnable(steps)
    const gone = presence.TPM_PHYSICAL_PRESENCE_NOTPRESENT | presence.TPM_PHYSICAL_PRESENCE_LOCK
    await steps.send('TSC_PhysicalPresence(NOT_PRESENT|LOCK)', presence.physicalPresence(gone))
  }
  return steps.refused ? TPM_ERROR : DONE
}

const commandEnable = (steps: Steps): Promise<unknown> =>
  steps.send(
    'TSC_PhysicalPresence(CMD_ENABLE)',
    presence.physicalPresence(presence.TPM_PHYSICAL_PRESENCE_CMD_ENABLE),
  )

async function tpm2Sequence(plan: BiosPlan, transmit: Transmit, output: BiosOutput): Promise<number> {
  // The C tool reports errors of a TPM 2.0 on standard output, and scripts look for them there.
  const steps = new Steps(transmit, plan.version, (line) => output.out(line))
  if (plan.startup !== 'none') await steps.send('TPM2_Startup', startupCommand('2', plan.startup))
  if (plan.selfTest) await steps.send('TPM2_IncrementalSelfTest', bios.incrementalSelfTest())
  if (plan.giveUpControl) {
    // A password that no program knows locks the platform hierarchy until the next Startup.
    const { randomBytes } = await import('node:crypto')
    const password = randomBytes(PLATFORM_PASSWORD_BYTES)
    await steps.send('TPM2_HierarchyChangeAuth', bios.setPlatformPassword(password))
  }
  return steps.refused ? TPM_ERROR : DONE
}
