/** The suites: the driver's, the kernel's own tests, and files of the user. */
import { DRIVER, type Suite } from './driver.ts'
import { loadSelftests } from './selftests.ts'
import { loadUserSuite } from './user-suite.ts'

/** @param suite `driver`, the path of a module, or the directory of selftests @throws ToolFailure */
export async function suiteOf(suite: string): Promise<Suite> {
  if (suite === 'driver') return DRIVER
  return /\.m?js$/.test(suite) ? loadUserSuite(suite) : loadSelftests(suite)
}
