/** What `swtpm fault` prints of an answer. */
import type { CommandStatus, FaultStatus } from '../../../serve/scripting/socket/script-messages.ts'
import type { FaultVerb } from './fault-options.ts'

/** @param operand what was given with the verb */
export function answerText(verb: FaultVerb, operand: string | undefined, ok: unknown): string {
  switch (verb) {
    case 'add':
      return `fault ${ok}: ${operand}\n`
    case 'remove':
      return `fault ${ok} was removed\n`
    case 'clear':
      return `${ok === 1 ? '1 fault was' : `${ok} faults were`} removed\n`
    case 'list':
      return table(ok as readonly FaultStatus[])
    case 'wait': {
      const { fault, rule, struck, name, n } = ok as FaultStatus & CommandStatus
      return `fault ${fault} "${rule}" has struck ${struck === 1 ? 'once' : `${struck} times`}, last ${name} (no. ${n})\n`
    }
  }
}

function table(faults: readonly FaultStatus[]): string {
  const rows = [
    ['FAULT', 'LABEL', 'STRUCK', 'RULE'],
    ...faults.map(({ fault, label, struck, rule }) => [String(fault), label ?? '-', String(struck), rule]),
  ]
  const width = (column: number): number => Math.max(...rows.map((row) => row[column]?.length ?? 0))
  const widths = [width(0), width(1), width(2), 0]
  return rows.map((row) => `${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')}\n`).join('')
}
