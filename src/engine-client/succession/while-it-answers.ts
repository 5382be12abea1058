/**
 * Tells an engine that takes long from one that is stopped, hangs or says nothing: the TPM may be busy for minutes, but the thread
 * that reads the engine's channel never waits for it, and answers urgent requests at once.
 */
import { BIG } from '../../../contract/struct.ts'
import { controlCode, VERBS } from '../../../contract/verbs.ts'
import { log } from '../../system/log.ts'
import { within } from '../../system/time-limit.ts'
import type { Engine } from './engine-starter.ts'

/** How long work takes before the engine is asked whether it is there, and between two times that it is asked. */
const PAUSE_MS = 1000
/**
 * How often, and for how long each time, an answer is waited for. More than once: when this process was stopped itself, or its machine was,
 * a limit is over before the answer is read that has long been there.
 */
const TURNS = 3
const TURN_MS = 2000

/**
 * How long an engine that answers may take to hand its TPM over, or to do what comes before. It finishes the command that it is at, an
 * RSA key for example, which takes minutes on a slow machine at most.
 */
const WORK_LIMIT_MS = 120_000

/**
 * Waits for `work` of an engine, well done or not. The engine is killed when it does not answer meanwhile, or takes too long; others take
 * over then, as after any death.
 * @param current whose work it is; that may pass to another engine meanwhile
 */
export async function orKilled(current: () => Engine | undefined, work: Promise<unknown>): Promise<void> {
  for (;;) {
    const why = await whileItAnswers(current, work)
    const engine = current()
    if (why === undefined || engine === undefined) return
    log.error(`${engine.describe()} ${why}: it is killed`)
    engine.kill()
  }
}

/** @returns undefined when the work is done; otherwise what is wrong, to be said of the engine */
async function whileItAnswers(
  current: () => Engine | undefined,
  work: Promise<unknown>,
): Promise<string | undefined> {
  const done = work.then(
    () => undefined,
    () => undefined,
  )
  let over = false
  const watch = async (): Promise<string | undefined> => {
    while (!over) {
      if ((await within(PAUSE_MS, done, 'busy')) === undefined) return undefined
      const engine = current()
      if (engine === undefined || engine.ended) continue
      if (await isSilent(engine, done)) return `has not answered within ${(TURNS * TURN_MS) / 1000} s`
    }
    return undefined
  }
  const late = `has not done what it was asked for within ${WORK_LIMIT_MS / 1000} s`
  const why = await within(WORK_LIMIT_MS, watch(), late)
  over = true
  return why
}

/** Asks for nothing but an answer: which sizes a buffer may have. */
async function isSilent(engine: Engine, done: Promise<undefined>): Promise<boolean> {
  const question = VERBS.SET_BUFFERSIZE.req.encode({ bufferSize: 0 }, BIG)
  const answer = engine.request(controlCode('SET_BUFFERSIZE'), question).then(
    () => undefined,
    () => undefined,
  )
  for (let turn = 0; turn < TURNS; turn++) {
    if ((await within(TURN_MS, Promise.race([answer, done]), 'late')) === undefined) return false
  }
  return !engine.ended
}
