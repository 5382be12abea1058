/** The versions that the programs report. */

/** The version of this program, as in package.json. */
export const PACKAGE_VERSION = '0.1.0'

/**
 * The release of swtpm whose command line, control protocol and state files this program speaks.
 *
 * Programs read `"version"` in the capabilities, or the output of `--version`, to learn what this `swtpm` can do, and compare
 * it with swtpm's own releases: 0.1.0 would mean that there is neither `--print-states` (0.7) nor `--migration` (0.8). So the
 * number is that of the last swtpm release whose options are all here. PACKAGE_VERSION is printed beside it for people.
 * Features of later releases are announced in the capabilities.
 */
export const COMPATIBLE_VERSION = '0.10.0'

/** First line of every program's `--version`: first the number that scripts look for, then the package's. */
export const versionLine = (title: string): string =>
  `${title} version ${COMPATIBLE_VERSION}, swtpm for Node.js ${PACKAGE_VERSION}`
