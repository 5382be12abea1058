/** `swtpm fault --help`: the verbs, and the language of rules. */
import { effectHelp } from '../../../responders/rules/effect-help.ts'
import { helpScreen } from '../../common/help.ts'
import { FAULT_OPTIONS } from './fault-options.ts'

export async function faultHelp(): Promise<string> {
  const screen = await helpScreen({
    tool: 'swtpm fault SOCKET [add RULE | list | remove N | clear | wait N]',
    summary:
      'Has the commands of a TPM that is served go wrong, or right again. SOCKET is that of its --script-socket; N is the number or the label of a fault.',
    table: FAULT_OPTIONS,
    examples: [
      [
        "swtpm fault /run/tpm.script add 'busy=GetRandom: rc=RETRY'",
        'a TPM that is busy whenever it is asked for random numbers',
      ],
      [
        'swtpm fault /run/tpm.script list',
        'the faults that are there, and how many commands each has struck',
      ],
      ['swtpm fault /run/tpm.script wait busy --timeout 10', 'until it has struck one'],
      ['swtpm fault /run/tpm.script remove busy', 'it is well again'],
      ['swtpm fault /run/tpm.script clear', 'without any fault'],
    ],
    epilogue:
      'Exit status: 0, 1 for what cannot be done, 2 for a fault that has not struck in time. An added fault holds from the next command on, and is asked before those that were there.',
  })
  return `${screen}\n\n${effectHelp()}`
}
