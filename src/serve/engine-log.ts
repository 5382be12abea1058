/**
 * What an engine logs. It may have been broken into: its lines are limited, keep to one line each, and cannot command the terminal
 * that shows them.
 */
import { log } from '../system/log.ts'
import { RateLimit } from '../system/rate-limit.ts'

/** Levels of engines; others are for debugging. */
const ERROR = 1
const WARNING = 2
/** From this level of `--log` on libtpms logs each step: the user looks for a fault, and all of it is wanted. */
const DEBUGGING = 5
const RATE = { burst: 200, perSecond: 20 }
/** No sentence is as long, in characters. */
const MAX_LINE_LENGTH = 2048

// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not reach the log
const CONTROL_CHARACTERS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029]/g

const asText = (character: string): string =>
  `\\x${(character.codePointAt(0) as number).toString(16).padStart(2, '0')}`

/** @returns what logs a text of the engine, and its level */
export function engineLog(): (level: number, text: string) => void {
  const limit = new RateLimit(RATE)
  const write = (level: number, line: string): void => {
    if (level <= ERROR) log.error(line)
    else if (level === WARNING) log.warn(line)
    else log.debug(level, line)
  }
  return (level, text) => {
    if (!log.isEnabled(level <= WARNING ? 1 : level)) return
    for (const line of text.split('\n')) {
      if (line === '') continue
      const suppressed = log.isEnabled(DEBUGGING) ? 0 : limit.take()
      if (suppressed === undefined) return
      if (suppressed > 0) log.warn(`The engine logs too much: ${suppressed} lines were left out`)
      write(level, line.slice(0, MAX_LINE_LENGTH).replace(CONTROL_CHARACTERS, asText))
    }
  }
}
