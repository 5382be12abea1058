/** Finds what went wrong inside a kernel, by the words of its log. */
import type { LogRecord } from '../../../machine/kernel-log.ts'
import { SPLAT_CLASSES, type SplatClass } from './splat-classes.ts'

export interface Splat {
  readonly kind: SplatClass
  readonly text: string
}

/** lockdep says WARNING and INFO, too; so what it says comes first. */
const LOCKDEP = [
  'possible (circular|recursive|irq lock inversion|irq-unsafe lock)',
  'possible .*locking dependency',
  '(inconsistent|invalid) lock state',
  'suspicious RCU usage',
  'bad unlock balance',
  'bad contention',
  'held lock freed',
  'lock held when returning to user space',
  'lock held at task exit time',
  'nested lock was not taken',
  '.*(SOFTIRQ|HARDIRQ)-safe -> .*-unsafe lock order detected',
  '.*(SOFTIRQ|HARDIRQ|RECLAIM_FS).* lock order detected',
].join('|')

/** The first that matches is it. */
const PATTERNS: readonly (readonly [SplatClass, RegExp])[] = [
  ['lockdep', new RegExp(`^(?:WARNING|INFO|BUG): (?:${LOCKDEP})`)],
  ['lockdep', /^BUG: (?:MAX_|key \S+ (?:has not been registered|not in))/],
  ['lockdep', /^DEBUG_LOCKS_WARN_ON/],
  ['kasan', /^BUG: K(?:ASAN|MSAN|CSAN|FENCE): /],
  ['kmemleak', /^kmemleak: [1-9]\d* new suspected memory leaks/],
  ['hung', /^INFO: task .* blocked for more than \d+ seconds/],
  ['hung', /^(?:watchdog: )?(?:BUG: soft lockup|Watchdog detected hard LOCKUP)/],
  ['hung', /^rcu: INFO: \S+ (?:self-)?detected (?:expedited )?stall/],
  ['hung', /^BUG: workqueue lockup/],
  ['warning', /^WARNING: /],
  ['bug', /^(?:\S+: )?(?:kernel )?BUG(?: at|:) /],
  ['bug', /^Oops(?:: |\b)/],
  ['bug', /^(?:general protection fault|stack segment|divide error|invalid opcode|double fault)\b/],
  ['bug', /^(?:UBSAN|Kernel panic)\b/],
  ['bug', /^list_(?:add|del) corruption/],
  ['bug', /^refcount_t: /],
  ['bug', /^=+ *BUG |^BUG [\w-]+ ?\(/],
]

/** @returns undefined for an ordinary record, and for what a program wrote into the log */
export function splatIn({ isKernel, text }: Pick<LogRecord, 'isKernel' | 'text'>): Splat | undefined {
  if (!isKernel) return undefined
  const kind = PATTERNS.find(([, pattern]) => pattern.test(text))?.[0]
  return kind === undefined ? undefined : { kind, text }
}

/** The records of a console, on which a kernel that dies prints its last. */
export function splatsOnConsole(console: string): Splat[] {
  const lines = console.split('\n').map((line) => line.replace(/^\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? /, ''))
  return lines.flatMap((text) => splatIn({ isKernel: true, text }) ?? [])
}

/** The first of the classes asked for, in the order of the log. */
export const firstOf = (splats: readonly Splat[], classes: readonly SplatClass[]): Splat | undefined =>
  splats.find(({ kind }) => classes.includes(kind))

/** "2 warning, 1 kasan" */
export const countsOf = (splats: readonly Splat[]): string =>
  SPLAT_CLASSES.map((kind) => [splats.filter((splat) => splat.kind === kind).length, kind] as const)
    .filter(([count]) => count > 0)
    .map(([count, kind]) => `${count} ${kind}`)
    .join(', ')
