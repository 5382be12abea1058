/** A log with a line of JSON for each message: pino's own lines, with time, level and process id. */
import { type Logger, pino } from 'pino'
import { writeLine } from './log-destination.ts'

export type JsonLog = Logger

/** @param prefix of the log; in each line, unless it is empty */
export function openJsonLog(fd: number, prefix: string): JsonLog {
  const base = { pid: process.pid, ...(prefix === '' ? {} : { prefix }) }
  const options = { level: 'debug', base, timestamp: pino.stdTimeFunctions.isoTime }
  return pino(options, { write: (line) => writeLine(fd, line) })
}
