/** Finds the mistakes in the rules of a command line, before anything is opened. */
import { parseRule } from '../../responders/rules/rule.ts'
import { RuleError } from '../../responders/rules/rule-error.ts'
import { SwtpmError } from '../../system/errors.ts'
import type { ScriptConfig } from '../config.ts'

/** @throws SwtpmError SWTPM_ERR_SCRIPT */
export function checkScript({ faults }: Pick<ScriptConfig, 'faults'>): void {
  for (const rule of faults) {
    try {
      parseRule(rule, Math.random)
    } catch (error) {
      if (!(error instanceof RuleError)) throw error
      throw new SwtpmError('SWTPM_ERR_SCRIPT', `Cannot use --fault: ${error.message}`, { cause: error })
    }
  }
}
