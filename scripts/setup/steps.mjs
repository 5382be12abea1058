// Runs set-up steps one after the other: each says what it is going to do, or that it is done already.

import { done, step } from '../lib/terminal.mjs'

/**
 * @typedef {object} SetupStep
 * @property {string} title what it provides
 * @property {() => boolean | Promise<boolean>} isDone quick: it is asked at every start
 * @property {() => string} announce what it is going to do, said before it does it
 * @property {(progress: (line: string) => void) => Promise<unknown>} run
 */

/** @param {SetupStep[]} steps later ones may need what earlier ones provide */
export async function runSteps(steps) {
  for (const { title, isDone, announce, run } of steps) {
    if (await isDone()) done(title)
    else await step(announce(), run)
  }
}
