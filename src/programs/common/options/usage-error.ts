/** A command line that cannot be obeyed, and what is printed for it: the fault, how the option is written, where to read on. */
import { Fault } from '../../../system/errors.ts'
import type { OptionTable } from './option-table.ts'
import { waysOf } from './synopsis.ts'

export class UsageError extends Fault {
  /** The option that is at fault, by its name in the table. */
  readonly option: string | undefined

  constructor(message: string, option?: string) {
    super(message)
    this.name = 'UsageError'
    this.option = option
  }
}

/**
 * @param program what the line begins with: `swtpm`
 * @param command what has the help for it: `swtpm socket`
 * @returns lines for standard error, the last with its newline
 */
export function usageText(program: string, command: string, error: UsageError, table: OptionTable): string {
  return [
    `${program}: ${error.message}`,
    ...usagesOf(error.option, table).map((usage, index) => `${index === 0 ? 'Usage:' : '   or:'} ${usage}`),
    `Try '${command} --help' for more.`,
    '',
  ].join('\n')
}

/** `--tpmstate dir=DIR|…`, `--save TYPE filename`, `-l LOCALITY` */
function usagesOf(option: string | undefined, table: OptionTable): string[] {
  const spec = option === undefined ? undefined : table[option]
  if (option === undefined || spec === undefined) return []
  const name = option.length === 1 ? `-${option}` : `--${option}`
  return waysOf(spec).map((way) =>
    [name, way, ...(spec.operand === undefined ? [] : [spec.operand])].join(' '),
  )
}
