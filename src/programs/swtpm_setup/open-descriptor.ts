import { fstatSync } from 'node:fs'
import { ToolFailure } from '../common/tool-failure.ts'
import type { OptionName } from './setup-options.ts'

/** The number of an open descriptor that an option names. @throws ToolFailure */
export function openDescriptor(option: OptionName, text: string): number {
  try {
    if (!/^\d+$/.test(text)) throw new RangeError('not a number')
    fstatSync(Number(text))
    return Number(text)
  } catch {
    throw new ToolFailure(`Invalid file descriptor '${text}' of --${option}: give the number of an open one`)
  }
}
