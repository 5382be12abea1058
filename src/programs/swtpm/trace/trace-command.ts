/** `swtpm trace`: TPM commands and responses in words, from what has recorded them. */
import { createReadStream } from 'node:fs'
import { exchangesFrom } from '../../../recordings/exchanges.ts'
import { RuleError } from '../../../responders/rules/rule-error.ts'
import { sentenceOf } from '../../../system/fault.ts'
import { reasonOf } from '../../../system/reason.ts'
import { exchangeJson, exchangeLine, type TracedExchange } from '../../../tpm-structures/exchange-text.ts'
import { helpScreen } from '../../common/help.ts'
import { readOptions } from '../../common/options/read-options.ts'
import { UsageError, usageText } from '../../common/options/usage-error.ts'
import { printError, printOut, write } from '../../common/output.ts'
import { ToolFailure } from '../../common/tool-failure.ts'
import { follow } from './follow.ts'
import { grep } from './grep.ts'
import { TRACE_OPTIONS } from './trace-options.ts'

/** @param argv the words behind `trace` @returns the exit code */
export async function trace(argv: readonly string[]): Promise<number> {
  try {
    const given = readOptions(TRACE_OPTIONS, argv)
    if (given.has('help')) {
      printOut(`${await helpText()}\n`)
      return 0
    }
    const [file, ...strays] = given.strays
    if (strays.length > 0) throw new UsageError(`Unknown parameter '${strays[0]}'`)
    return await printTrace(sourceOf(file, given.text('follow'), given.text('grep')), {
      json: given.has('json'),
      secrets: given.has('secrets'),
    })
  } catch (error) {
    if (error instanceof UsageError) printError(usageText('swtpm trace', 'swtpm trace', error, TRACE_OPTIONS))
    else printError(`swtpm trace: ${sentenceOf(error)}\n`)
    return 1
  }
}

interface Output {
  readonly json: boolean
  readonly secrets: boolean
}

interface Source {
  readonly name: string
  readonly bytes: AsyncIterable<Uint8Array>
  readonly isMeant: (exchange: TracedExchange) => boolean
  /** It may be that nothing happens while it is watched. */
  readonly mayBeEmpty: boolean
}

/** @throws UsageError; ToolFailure */
function sourceOf(file: string | undefined, socket: string | undefined, when: string | undefined): Source {
  const isMeant = when === undefined ? () => true : meantBy(when)
  if (socket !== undefined) {
    if (file !== undefined) throw new UsageError(`Either FILE or --follow: what is "${file}"?`, 'follow')
    // The TPM's own process tells only of what is meant.
    return { name: `"${socket}"`, bytes: follow(socket, when ?? '*'), isMeant: () => true, mayBeEmpty: true }
  }
  if (file === undefined) throw new UsageError('Missing FILE: what to read, or - for standard input')
  return { name: nameOf(file), bytes: bytesOf(file), isMeant, mayBeEmpty: false }
}

/** @throws ToolFailure with the place of the mistake */
function meantBy(when: string): (exchange: TracedExchange) => boolean {
  try {
    return grep(when)
  } catch (error) {
    if (!(error instanceof RuleError)) throw error
    throw new ToolFailure(`Cannot use --grep: ${error.message}`, { cause: error })
  }
}

/** How many problems are told one by one: a file of another kind has one in each line. */
const MOST_PROBLEMS = 3

/** @returns the exit code: 1 where nothing could be read as a TPM command */
async function printTrace(source: Source, { json, secrets }: Output): Promise<number> {
  let count = 0
  const note = (problem: string) => printError(`swtpm trace: ${source.name}: ${problem}\n`)
  let problems = 0
  const noteFirst = (problem: string) => {
    if (++problems <= MOST_PROBLEMS) note(problem)
  }
  for await (const exchange of exchangesFrom(source.bytes, noteFirst)) {
    count++
    if (!source.isMeant(exchange)) continue
    const line = json
      ? JSON.stringify(exchangeJson(exchange, { secrets }))
      : exchangeLine(exchange, { secrets })
    const failure = write(1, `${line}\n`)
    // The reader has seen enough.
    if (failure?.code === 'EPIPE') return 0
    if (failure !== undefined) throw new ToolFailure(`Cannot write to standard output: ${reasonOf(failure)}`)
  }
  if (problems > MOST_PROBLEMS) note(`${problems - MOST_PROBLEMS} more of its lines could not be read`)
  if (count > 0 || source.mayBeEmpty) return 0
  note('there are no TPM commands in it; `swtpm trace --help` says what can be read')
  return 1
}

const nameOf = (file: string): string => (file === '-' ? 'standard input' : `"${file}"`)

/** @throws ToolFailure when it cannot be read */
async function* bytesOf(file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* file === '-' ? process.stdin : createReadStream(file)
  } catch (error) {
    throw new ToolFailure(`Cannot read ${nameOf(file)}: ${reasonOf(error)}`, { cause: error })
  }
}

const helpText = (): Promise<string> =>
  helpScreen({
    tool: 'swtpm trace FILE|-|--follow SOCKET',
    summary:
      'Prints TPM commands and responses in words, a line for each command, from a pcapng file (swtpm socket --pcap) or pcap file, a recording (.tpmrec), a log of swtpm at level 20, or hex digits.',
    table: TRACE_OPTIONS,
    examples: [
      ['swtpm trace boot.pcapng', 'what a kernel and its programs have asked a TPM'],
      [
        'swtpm socket … --log level=20 2>&1 | swtpm trace -',
        'while it happens; also with the log of the C program',
      ],
      [
        "swtpm trace --grep 'Create|Load[session=hmac]' boot.pcapng",
        'these commands only, as --fault names them',
      ],
      [
        'swtpm trace --follow /run/tpm.script',
        'a TPM that is served with --script-socket path=/run/tpm.script',
      ],
      ['echo 80010000000c0000017b0008 | swtpm trace -', 'one command'],
      ['swtpm trace --json boot.pcapng | jq -r .name | sort | uniq -c', 'how often each command'],
    ],
    epilogue:
      "Names are those of the TCG's specification, Part 3. A command that does not fit its tables is printed as far as it does, with what is wrong in parentheses.",
  })
