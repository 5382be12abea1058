/** Suspend to idle as far as all processes frozen and thawed again, which any machine can do. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { Cleanup } from './swtpm.ts'

const STATE = '/sys/power/state'
const STAGE = '/sys/power/pm_test'

/** Why this kernel cannot rehearse it; false where it can. */
export const noSuspend = (): string | false =>
  !(existsSync(STAGE) && readFileSync(STATE, 'utf8').includes('freeze')) && 'this kernel cannot rehearse it'

/** How long everything stays frozen, in seconds, and how long the kernel tries to freeze what waits, in milliseconds. */
const PATIENCE = [
  ['/sys/module/suspend/parameters/pm_test_delay', '1'],
  ['/sys/power/pm_freeze_timeout', '2000'],
] as const

/**
 * All processes are frozen, this one too; a second later everything is back. Not the devices: through one of them comes
 * this machine's root directory.
 * @throws the system's error: EBUSY where a process could not be frozen
 */
export function rehearseSuspend(t: Cleanup): void {
  for (const [file, value] of PATIENCE) if (existsSync(file)) writeFileSync(file, value)
  writeFileSync(STAGE, 'freezer')
  t.after(() => writeFileSync(STAGE, 'none'))
  writeFileSync(STATE, 'freeze')
}
