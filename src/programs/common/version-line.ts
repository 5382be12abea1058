import { COMPATIBLE_VERSION, PACKAGE_VERSION } from '../../system/version.ts'

/** What capabilities call the version: the release of the reference whose tools these stand in for. */
export const VERSION = COMPATIBLE_VERSION

/** The output of --version: the number scripts look for first, ours after it. */
export const versionLine = (subject: string): string =>
  `${subject} version ${COMPATIBLE_VERSION}, swtpm for Node.js ${PACKAGE_VERSION}`
