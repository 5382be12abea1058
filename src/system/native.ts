/** The native addon: what JavaScript cannot do itself. One import for the three files in native/. */
export { check, SystemError } from './native/check.ts'
export { native, nativeAddonPath } from './native/load.ts'
export { type PollCallback, type Poller, READABLE, WRITABLE } from './native/types.ts'
