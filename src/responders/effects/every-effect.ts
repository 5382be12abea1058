/** All effects, by the names that a script knows them by. */
export { append, flip, set, shorten, size, tag, truncate } from './altered.ts'
export { previous, rc, respond } from './instead.ts'
export { errno, hangUp, pieces, unplug } from './link.ts'
export { double, drop, mute } from './lost.ts'
export { delay, late, stall } from './timing.ts'
export { crash, forget, powercut, reset } from './tpm.ts'
