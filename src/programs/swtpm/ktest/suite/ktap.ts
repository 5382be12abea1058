/** The Kernel Test Anything Protocol. @see https://docs.kernel.org/dev-tools/ktap.html */
import type { Verdict } from './row.ts'

export const ktapHeader = (count: number): string => `KTAP version 1\n1..${count}\n`

/** @param number from 1 @param fix what a kernel lacks that is not ok; '' where that is not known */
export function ktapLine(number: number, name: string, fix: string, verdict: Verdict): string {
  switch (verdict.outcome) {
    case 'ok':
      return `ok ${number} ${name}\n`
    case 'not ok':
      return `# ${name}: ${oneLine(verdict.seen)}\nnot ok ${number} ${name}${fix === '' ? '' : ` # missing: ${oneLine(fix)}`}\n`
    case 'skip':
      return `ok ${number} ${name} # SKIP ${oneLine(verdict.reason)}\n`
  }
}

/** As kunit.py and kselftest count. */
export function ktapTotals(verdicts: readonly Verdict[]): string {
  const count = (outcome: Verdict['outcome']) =>
    verdicts.filter((verdict) => verdict.outcome === outcome).length
  return `# Totals: pass:${count('ok')} fail:${count('not ok')} xfail:0 xpass:0 skip:${count('skip')} error:0\n`
}

const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, ' ')
