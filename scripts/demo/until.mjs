import { setTimeout as delay } from 'node:timers/promises'
import { UserError } from '../lib/command.mjs'

const TIMEOUT_MS = 15_000

/**
 * Waits for something that comes without notice, such as a device node that comes or goes.
 *
 * @param {string} what in words, for the error
 * @param {() => boolean} condition
 */
export async function until(what, condition) {
  const deadline = performance.now() + TIMEOUT_MS
  while (!condition()) {
    if (performance.now() > deadline)
      throw new UserError(`Waited ${TIMEOUT_MS / 1000} s in vain until ${what}`)
    await delay(20)
  }
}
