/** The suites by name. */
import { DRIVER, type Suite } from './driver.ts'
import type { SuiteName } from './suite-names.ts'

export const SUITES: Readonly<Record<SuiteName, Suite>> = { driver: DRIVER }
