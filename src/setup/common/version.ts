import { version } from '../../../package.json'

/** The release that all tools of the package report. */
export const VERSION: string = version
