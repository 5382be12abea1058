/** `swtpm replay`: sends the commands of a recording to a TPM again, and compares what it answers. */
import { openOtherTpm } from '../../../behind/open-other-tpm.ts'
import { type Replayed, replay as replayTo } from '../../../behind/replay/replay.ts'
import type { ReplayTarget } from '../../../behind/replay/target.ts'
import { parseOtherTpm } from '../../../command-line/parse/behind.ts'
import { type Recording, readRecording } from '../../../recordings/recording.ts'
import { sentenceOf } from '../../../system/fault.ts'
import { exchangeLine } from '../../../tpm-structures/exchange-text.ts'
import { helpScreen } from '../../common/help.ts'
import { readOptions } from '../../common/options/read-options.ts'
import { UsageError, usageText } from '../../common/options/usage-error.ts'
import { printError, printOut } from '../../common/output.ts'
import { REPLAY_OPTIONS } from './replay-options.ts'

const FAILED = 1
/** As a code of its own, for tests. */
const DIFFERENT = 2

interface Target extends ReplayTarget {
  close(): Promise<void> | void
}

/** @param argv the words behind `replay` @returns the exit code */
export async function replay(argv: readonly string[]): Promise<number> {
  try {
    const given = readOptions(REPLAY_OPTIONS, argv)
    if (given.has('help')) {
      printOut(`${await helpText()}\n`)
      return 0
    }
    const [file, ...strays] = given.strays
    if (file === undefined) throw new UsageError('Missing FILE: the recording')
    if (strays.length > 0) throw new UsageError(`Unexpected argument "${strays[0]}"`)
    const recording = await readRecording(file)
    const target = await openTarget(given.text('to') ?? 'ours', recording)
    try {
      return await run(recording, target, { diff: given.has('diff'), json: given.has('json') })
    } finally {
      await target.close()
    }
  } catch (error) {
    if (error instanceof UsageError)
      printError(usageText('swtpm replay', 'swtpm replay', error, REPLAY_OPTIONS))
    else printError(`swtpm replay: ${sentenceOf(error)}\n`)
    return FAILED
  }
}

/** @throws UsageError; SwtpmError */
async function openTarget(text: string, { version }: Recording): Promise<Target> {
  if (text === 'ours') {
    const { openOurTpm } = await import('./our-tpm.ts')
    return openOurTpm(version)
  }
  const other = await openOtherTpm(otherTpmOf(text))
  return {
    name: other.name,
    hasLocalities: false,
    ask: (command) => other.ask(command),
    close: () => other.close(),
  }
}

/** @throws UsageError */
function otherTpmOf(text: string): ReturnType<typeof parseOtherTpm> {
  try {
    return parseOtherTpm(text)
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new UsageError(`--to: ${error.message}, and ours`, 'to')
  }
}

interface Output {
  readonly diff: boolean
  readonly json: boolean
}

async function run(recording: Recording, target: Target, output: Output): Promise<number> {
  const counts = { same: 0, different: 0, skipped: 0, repeated: 0 }
  for await (const one of replayTo(recording, target)) {
    counts[one.outcome.kind]++
    const text = output.json ? `${JSON.stringify(jsonOf(one))}\n` : textOf(one, recording, output)
    if (text !== '') printOut(text)
  }
  printOut(
    output.json
      ? `${JSON.stringify(counts)}\n`
      : `${recording.exchanges.length} commands: ${counts.same} answered the same, ${counts.different} differently, ` +
          `${counts.skipped} skipped, ${counts.repeated} that the recorded TPM wanted again\n`,
  )
  return counts.different === 0 ? 0 : DIFFERENT
}

function jsonOf({ number, command, outcome }: Replayed): object {
  const { kind } = outcome
  return {
    n: number,
    name: command.name,
    outcome: kind,
    ...(kind === 'different' && { differences: outcome.differences }),
    ...(kind === 'skipped' && { reason: outcome.reason }),
  }
}

/** Of what is as it should be: nothing. */
function textOf({ number, command, outcome }: Replayed, recording: Recording, { diff }: Output): string {
  const what = `${command.name} (no. ${number})`
  switch (outcome.kind) {
    case 'same':
    case 'repeated':
      return ''
    case 'skipped':
      return `${what} skipped: ${outcome.reason}\n`
    case 'different': {
      const fields = outcome.differences.map(({ path, recorded, got }) =>
        diff ? `  ${path}\n    - ${recorded}\n    + ${got}\n` : ` ${path}`,
      )
      if (!diff) return `${what} differs:${fields.join(',')}\n`
      const { command: bytes, response } = recording.exchanges[number - 1] as Recording['exchanges'][number]
      const line = (sign: string, answer: Uint8Array | undefined): string => {
        const exchange = { at: undefined, duration: undefined, locality: undefined }
        return `${sign}${exchangeLine({ ...exchange, command: bytes, response: answer }, { secrets: false })}\n`
      }
      return `${what} differs\n${line('-', response)}${line('+', outcome.got.bytes)}${fields.join('')}`
    }
  }
}

const helpText = (): Promise<string> =>
  helpScreen({
    tool: 'swtpm replay FILE',
    summary:
      'Sends the commands of a recording to a TPM once more, and compares what it answers with what the recorded TPM did.',
    table: REPLAY_OPTIONS,
    examples: [
      ['swtpm replay boot.tpmrec', 'does our TPM answer a boot as the chip did?'],
      [
        'swtpm replay --to unix:/run/tpm.sock --diff boot.tpmrec',
        'another TPM in software, and what differs',
      ],
      ['swtpm replay --to device:/dev/tpm0 --json boot.tpmrec | jq .outcome', 'a chip; as root'],
    ],
    epilogue:
      'What cannot be the same in two TPMs is not compared but for its length: random numbers, keys and what follows from them, clocks. ' +
      'Handles, private areas and contexts are sent as the TPM that is asked has given them out. Commands under HMAC are authorized anew ' +
      'where the authorization value is known: it is empty, it is in the recording, or a line like {"auth":"70617373","handle":"0x81000001"} ' +
      'says it. What cannot be sent is skipped, with the reason.\n' +
      'The exit code is 0 if nothing differs, 2 if something does, 1 for errors. The commands change the TPM that is asked.',
  })
