import { whyUnusable } from '../../system/process/inherited-descriptors.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { OptionName } from './setup-options.ts'

/** The number of a descriptor to read from that an option names. @throws ToolFailure */
export function openDescriptor(option: OptionName, text: string): number {
  if (!/^\d+$/.test(text))
    throw new ToolFailure(`Cannot use descriptor "${text}" for --${option}: it is not a number`)
  const reason = whyUnusable(Number(text), 'read')
  if (reason !== undefined) throw new ToolFailure(`Cannot use descriptor ${text} for --${option}: ${reason}`)
  return Number(text)
}
