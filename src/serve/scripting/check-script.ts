/** Finds the mistakes in the rules of a command line, before anything is opened. */
import { parseMode } from '../../responders/modes/mode-table.ts'
import { parseRule } from '../../responders/rules/rule.ts'
import { RuleError } from '../../responders/rules/rule-error.ts'
import { SwtpmError } from '../../system/errors.ts'
import type { ScriptConfig } from '../config.ts'

/** @throws SwtpmError SWTPM_ERR_SCRIPT */
export function checkScript({ faults, modes = [] }: Pick<ScriptConfig, 'faults' | 'modes'>): void {
  for (const mode of modes) {
    try {
      parseMode(mode)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw new SwtpmError('SWTPM_ERR_SCRIPT', `Cannot use --mode ${mode}: ${error.message}`, {
        cause: error,
      })
    }
  }
  for (const rule of faults) {
    try {
      parseRule(rule, Math.random)
    } catch (error) {
      if (!(error instanceof RuleError)) throw error
      throw new SwtpmError('SWTPM_ERR_SCRIPT', `Cannot use --fault: ${error.message}`, { cause: error })
    }
  }
}
