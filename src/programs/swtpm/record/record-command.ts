/** `swtpm record`: runs a command that uses a TPM through us, and writes down what passes. */
import { accessSync, constants } from 'node:fs'
import { parseOtherTpm } from '../../../command-line/parse/behind.ts'
import { sentenceOf } from '../../../system/fault.ts'
import { helpScreen } from '../../common/help.ts'
import type { GivenOptions } from '../../common/options/given-options.ts'
import { readOptions } from '../../common/options/read-options.ts'
import { UsageError, usageText } from '../../common/options/usage-error.ts'
import { printError, printOut } from '../../common/output.ts'
import { RECORD_OPTIONS, WAYS, type Way } from './record-options.ts'
import { runRecorded } from './run-recorded.ts'

/** As env(1) and timeout(1): an error of ours, and not COMMAND's. */
const FAILED = 125

/** @param argv the words behind `record` @returns the exit code */
export async function record(argv: readonly string[]): Promise<number> {
  try {
    const at = argv.indexOf('--')
    const given = readOptions(RECORD_OPTIONS, at < 0 ? argv : argv.slice(0, at))
    if (given.has('help')) {
      printOut(`${await helpText()}\n`)
      return 0
    }
    const [stray] = given.strays
    if (stray !== undefined)
      throw new UsageError(
        `Unexpected argument "${stray}"; the command follows "--": swtpm record … -- ${stray}`,
      )
    const command = at < 0 ? [] : argv.slice(at + 1)
    if (command.length === 0) throw new UsageError('Missing COMMAND: it follows "--"')
    return await runRecorded({
      behind: behindOf(given),
      output: needed(given, 'output', 'the file that the recording is written to'),
      version: given.has('tpm12') ? '1.2' : '2',
      way: wayOf(given.text('via')),
      command,
    })
  } catch (error) {
    if (error instanceof UsageError)
      printError(usageText('swtpm record', 'swtpm record', error, RECORD_OPTIONS))
    else printError(`swtpm record: ${sentenceOf(error)}\n`)
    return FAILED
  }
}

type Given = GivenOptions<typeof RECORD_OPTIONS>

/** @throws UsageError */
function needed(given: Given, option: 'behind' | 'output', what: string): string {
  const text = given.text(option)
  if (text === undefined) throw new UsageError(`Missing --${option}: ${what}`, option)
  return text
}

/** @throws UsageError */
function behindOf(given: Given): string {
  const text = needed(given, 'behind', 'the TPM, such as device:/dev/tpm0')
  try {
    parseOtherTpm(text)
    return text
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new UsageError(`--behind: ${error.message}`, 'behind')
  }
}

/** @throws UsageError */
function wayOf(text: string | undefined): Way | undefined {
  if (text === undefined) return canMakeDevice() ? undefined : 'socket'
  const way = WAYS.find((known) => known === text)
  if (way === undefined) throw new UsageError(`--via: "${text}" is neither ${WAYS.join(' nor ')}`, 'via')
  return way
}

function canMakeDevice(): boolean {
  try {
    accessSync('/dev/vtpmx', constants.R_OK | constants.W_OK)
    return process.geteuid?.() === 0
  } catch {
    return false
  }
}

const helpText = (): Promise<string> =>
  helpScreen({
    tool: 'swtpm record',
    operands: '-- COMMAND',
    summary: 'Runs COMMAND with a TPM of yours behind ours, and writes all that passes to a recording.',
    table: RECORD_OPTIONS,
    examples: [
      [
        'swtpm record --behind device:/dev/tpm0 -o boot.tpmrec -- true',
        'what the kernel asks when it registers a TPM',
      ],
      ['swtpm record --behind device:/dev/tpmrm0 -o quote.tpmrec -- ./attest.sh', 'what a program asks'],
      ['swtpm replay --diff quote.tpmrec', 'does our TPM answer the same?'],
      ['swtpm chardev --vtpm-proxy --tpm2 --behind recording:boot.tpmrec', 'a device that answers as it did'],
    ],
    epilogue:
      'COMMAND finds the TPM by TPM2TOOLS_TCTI, and a device also by TPM_DEVICE and TPM_RM_DEVICE. The exit code is COMMAND’s, 128 and the ' +
      'number of a signal that has ended it, 125 for errors of swtpm. The recording has mode 0600: passwords may be in it.',
  })
