/** `--fault help`: the words of the language. */
import { EFFECTS, type EffectRow } from './effect-table.ts'

const RULE = `RULE = [LABEL=]WHEN: EFFECT[,EFFECT]…

WHEN says which commands: one or several names, what they have to have, and which of them.
  GetRandom  pcr_read|PCR_Extend  0x17b  *      names as in Part 3 of the specification, without TPM2_ or TPM_, in any case
  [handle=0x81000001]  [handle=0x80000000/8]    a handle, or the first bits of one
  [locality=3]  [session=none|pw|hmac|policy]  [size>100]  [from=driver|client]
  [capability=PCRS]  [hashAlg=SHA256]           a parameter, by its name and the words of Part 2
  [after=2s]  [during=10s]                      so long after the rule was added, or not longer
  #3  #2-5  #40-                                the third one that matches, the second to the fifth, from the fortieth on
  /3  %5                                        every third, five in a hundred (the same ones for the same --fault-seed)

EFFECT says what goes wrong; several strike from left to right.`

const EXAMPLES = `Examples:
  GetCapability#1: delay=800ms                    the first GetCapability is slow
  *: rc=RETRY                                     a TPM that is always busy
  Create|CreatePrimary: delay=20s                 a slow chip makes keys
  GetCapability[capability=PCRS]: set=data.count:64
  NV_Write/3: powercut                            power fails in every third write
  wrong=ReadPublic: shorten=12                    a rule with a label, for swtpm fault remove wrong`

export function effectHelp(): string {
  const rows: [string, EffectRow][] = Object.entries(EFFECTS)
  const called = ([name, { value, optional }]: [string, EffectRow]): string =>
    value === undefined ? name : optional ? `${name}[=${value}]` : `${name}=${value}`
  const width = Math.max(...rows.map((row) => called(row).length))
  const groups = [...new Set(rows.map(([, { group }]) => group))]
  const lines = groups.flatMap((group) => [
    `  ${group}:`,
    ...rows
      .filter(([, row]) => row.group === group)
      .map((row) => `    ${called(row).padEnd(width)}  ${row[1].describe}`),
  ])
  return `${[RULE, ...lines].join('\n')}\n\nTIME is a number with us, ms or s.\n\n${EXAMPLES}\n`
}
