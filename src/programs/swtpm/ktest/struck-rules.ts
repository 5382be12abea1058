/** The rules of a machine's TPMs, for a machine that has not ended as it should: they are likely to be why. */
import type { FaultStatus } from '../../../serve/scripting/socket/script-messages.ts'
import { askLine } from '../../common/ask-line.ts'
import type { HardwareTpm } from './hardware-tpm.ts'
import { isHardware, type TpmDescription } from './tpm-description.ts'

/** @returns `; TPM 0 has "Shutdown: drop", which has struck 1 command`; empty where there are no rules */
export async function rulesInWords(
  tpms: readonly TpmDescription[],
  hardware: readonly HardwareTpm[],
): Promise<string> {
  const parts = await Promise.all(
    tpms.map(async (tpm) => {
      const outside = isHardware(tpm) ? hardware.find(({ index }) => index === tpm.index) : undefined
      const rules = outside === undefined ? rulesOf(tpm) : await struckOf(outside)
      return rules.map((rule) => `; TPM ${tpm.name} has ${rule}`)
    }),
  )
  return parts.flat().join('')
}

/** Of a TPM that was in the guest it is not known what its rules have struck. */
const rulesOf = ({ options }: TpmDescription): string[] =>
  options.flatMap((value, at) => (options[at - 1] === '--fault' ? [`"${value}"`] : []))

async function struckOf({ script }: HardwareTpm): Promise<string[]> {
  try {
    const asked = { whom: 'the TPM', none: 'none is served', allowed: 'it is our own' }
    const { ok } = JSON.parse(await askLine(script, '{"list":true}', asked)) as { ok: FaultStatus[] }
    return ok.map(
      ({ rule, struck }) => `"${rule}", which has struck ${struck} ${struck === 1 ? 'command' : 'commands'}`,
    )
  } catch {
    // It has died: its own last words are on standard error.
    return []
  }
}
