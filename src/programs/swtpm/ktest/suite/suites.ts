/** The suites: those that have a name, and files of the user. */
import { DRIVER, type Suite } from './driver.ts'
import { isSuiteName, type SuiteName } from './suite-names.ts'
import { loadUserSuite } from './user-suite.ts'

const SUITES: Readonly<Record<SuiteName, Suite>> = { driver: DRIVER }

/** @param suite a name, or the path of a module @throws ToolFailure */
export const suiteOf = async (suite: string): Promise<Suite> =>
  isSuiteName(suite) ? SUITES[suite] : loadUserSuite(suite)
