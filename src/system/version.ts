/** The versions that swtpm tells of itself. */

/** Of this program: package.json's. */
export const PACKAGE_VERSION = '0.1.0'

/**
 * The release of swtpm whose command line, control protocol and state files this program speaks.
 *
 * Whoever reads `"version"` in the capabilities or the output of `--version` wants to know what to expect of an `swtpm`, and
 * compares with swtpm's own numbers: 0.1.0 would tell them that there is neither `--print-states` (0.7) nor `--migration`
 * (0.8). So the reference's number is what is claimed, and ours stands beside it where people read. It is the last release
 * whose options are all here; what is newer is announced by its own feature verb.
 */
export const COMPATIBLE_VERSION = '0.10.0'

/** First line of every program's `--version`: the number where scripts look for it, ours after it. */
export const versionLine = (title: string): string =>
  `${title} version ${COMPATIBLE_VERSION}, swtpm for Node.js ${PACKAGE_VERSION}`
