/** A word that is none of the verbs of a subcommand: one wording everywhere. */
import { meantHint } from '../../../system/did-you-mean.ts'
import { UsageError } from './usage-error.ts'

/**
 * @param word undefined: there is none where one is needed
 * @param none what the subcommand does without a verb: "or none to start a fleet"
 */
export function unknownVerb(word: string | undefined, verbs: readonly string[], none?: string): UsageError {
  const list = [verbs.join(', '), ...(none === undefined ? [] : [none])].join(', ')
  if (word === undefined) return new UsageError(`Missing verb: ${list}`)
  return new UsageError(`Unknown verb "${word}"${meantHint(word, verbs) || `: ${list}`}`)
}
