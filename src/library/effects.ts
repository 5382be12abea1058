/** The effects of the language of rules, as functions. */
export { append, flip, set, shorten, size, tag, truncate } from '../responders/effects/altered.ts'
export type { AlteringEffect, Effect } from '../responders/effects/effect.ts'
export { previous, rc, respond } from '../responders/effects/instead.ts'
export { errno, hangUp, pieces, unplug } from '../responders/effects/link.ts'
export { double, drop, mute } from '../responders/effects/lost.ts'
export { delay, late, stall } from '../responders/effects/timing.ts'
export { crash, forget, powercut, reset } from '../responders/effects/tpm.ts'
