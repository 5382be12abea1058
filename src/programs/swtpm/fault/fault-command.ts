/** `swtpm fault`: what goes wrong with the commands of a TPM that is served, said while it is. */
import type { ScriptAnswer } from '../../../serve/scripting/socket/script-messages.ts'
import { sentenceOf } from '../../../system/fault.ts'
import { askLine } from '../../common/ask-line.ts'
import type { GivenOptions } from '../../common/options/given-options.ts'
import { readOptions } from '../../common/options/read-options.ts'
import { unknownVerb } from '../../common/options/unknown-verb.ts'
import { UsageError, usageText } from '../../common/options/usage-error.ts'
import { printError, printOut } from '../../common/output.ts'
import { ToolFailure } from '../../common/tool-failure.ts'
import { FAULT_OPTIONS, FAULT_VERBS, type FaultVerb } from './fault-options.ts'
import { answerText } from './fault-text.ts'

type Given = GivenOptions<typeof FAULT_OPTIONS>

const REFUSED = 1
/** A fault has not struck in time: tests that wait want to know that apart. */
const TIMED_OUT = 2

/** @param argv the words behind `fault` @returns the exit code */
export async function fault(argv: readonly string[]): Promise<number> {
  try {
    const given = readOptions(FAULT_OPTIONS, argv)
    if (given.has('help')) {
      const { faultHelp } = await import('./fault-help.ts')
      printOut(await faultHelp())
      return 0
    }
    return await run(given)
  } catch (error) {
    if (error instanceof UsageError) printError(usageText('swtpm fault', 'swtpm fault', error, FAULT_OPTIONS))
    else printError(`swtpm fault: ${sentenceOf(error)}\n`)
    return REFUSED
  }
}

async function run(given: Given): Promise<number> {
  const [path, word = 'list', operand, ...strays] = given.strays
  if (path === undefined) throw new UsageError('Missing SOCKET: that of --script-socket')
  const verb = FAULT_VERBS.find((known) => known === word)
  if (verb === undefined) throw unknownVerb(word, FAULT_VERBS)
  const request = requestOf(verb, operand, given)
  if (strays.length > 0)
    throw new UsageError(
      `Unexpected argument "${strays[0]}"${verb === 'add' ? '; a rule is one word: put it in quotes' : ''}`,
    )
  const answer = decodeAnswer(
    await askLine(path, JSON.stringify(request), {
      whom: 'the TPM',
      none: 'none is served there; start one with --script-socket PATH',
      allowed: 'the socket has the mode of --script-socket PATH,mode=MODE',
    }),
  )
  if ('error' in answer) {
    printError(given.has('json') ? `${JSON.stringify(answer)}\n` : `swtpm fault: ${answer.error}\n`)
    return answer.timedOut ? TIMED_OUT : REFUSED
  }
  printOut(given.has('json') ? `${JSON.stringify(answer.ok)}\n` : answerText(verb, operand, answer.ok))
  return 0
}

function requestOf(verb: FaultVerb, operand: string | undefined, given: Given): object {
  for (const option of ['timeout', 'times'] as const)
    if (verb !== 'wait' && given.has(option))
      throw new UsageError(`--${option} is for "wait", not for "${verb}"`, option)
  switch (verb) {
    case 'list':
    case 'clear':
      if (operand !== undefined)
        throw new UsageError(`Unexpected argument "${operand}": ${verb} is for all faults`)
      return { [verb]: true }
    case 'add':
      return { fault: needed(operand, verb, "a rule, such as 'GetRandom#1: rc=RETRY'") }
    case 'remove':
      return { remove: faultOf(needed(operand, verb, 'the number or the label of a fault')) }
    case 'wait':
      return {
        wait: faultOf(needed(operand, verb, 'the number or the label of a fault')),
        timeout: numberOf(given, 'timeout'),
        times: numberOf(given, 'times'),
      }
  }
}

function needed(operand: string | undefined, verb: FaultVerb, what: string): string {
  if (operand === undefined) throw new UsageError(`"${verb}" needs ${what}`)
  return operand
}

/** A label is no number. */
const faultOf = (text: string): number | string => (/^\d+$/.test(text) ? Number(text) : text)

function numberOf(given: Given, option: 'timeout' | 'times'): number | undefined {
  const text = given.text(option)
  if (text === undefined) return undefined
  if (!/^\d+(\.\d+)?$/.test(text)) throw new UsageError(`--${option}: "${text}" is not a number`, option)
  return Number(text)
}

/** @throws ToolFailure */
function decodeAnswer(text: string): ScriptAnswer {
  let answer: { readonly ok?: unknown; readonly error?: unknown } | null | undefined
  try {
    answer = JSON.parse(text)
  } catch {
    // What is said below.
  }
  if (answer?.ok !== undefined || typeof answer?.error === 'string') return answer as unknown as ScriptAnswer
  throw new ToolFailure('What answers there is no TPM of swtpm: this is not the socket of --script-socket')
}
