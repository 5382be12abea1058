/** `swtpm list`: the TPMs that this user runs; root's list has those of all users. */
import { readFileSync } from 'node:fs'
import { sentenceOf } from '../../../system/fault.ts'
import { readOptions } from '../../common/options/read-options.ts'
import { UsageError, usageText } from '../../common/options/usage-error.ts'
import { printError, printOut } from '../../common/output.ts'
import { terminalText } from '../../common/terminal-text.ts'
import { membersOf } from './fleet-members.ts'
import { LIST_OPTIONS } from './list-options.ts'
import { runningProcesses } from './processes.ts'
import { findTpms, type RunningTpm } from './running-tpms.ts'

/** @param argv the words behind `list` @returns the exit code */
export async function list(argv: readonly string[]): Promise<number> {
  try {
    const given = readOptions(LIST_OPTIONS, argv, { refuseStrays: true })
    if (given.has('help')) {
      printOut(await helpText())
      return 0
    }
    const uid = process.geteuid?.()
    const isRoot = uid === 0
    const { tpms, fleets, others } = findTpms(runningProcesses(), isRoot ? undefined : uid)
    const members = await Promise.all(fleets.map(membersOf))
    const all = [...tpms, ...members.flat()].sort((a, b) => a.pid - b.pid)
    if (given.has('json')) printOut(`${JSON.stringify(all, undefined, 2)}\n`)
    else {
      printOut(table(all, isRoot))
      if (others.length > 0)
        printError(
          `swtpm list: of another program called swtpm: process${others.length === 1 ? '' : 'es'} ${others.map(({ pid }) => pid).join(', ')}\n`,
        )
    }
    return 0
  } catch (error) {
    if (error instanceof UsageError) printError(usageText('swtpm list', 'swtpm list', error, LIST_OPTIONS))
    else printError(`swtpm list: ${terminalText(sentenceOf(error))}\n`)
    return 1
  }
}

function table(tpms: readonly RunningTpm[], withUser: boolean): string {
  if (tpms.length === 0) return withUser ? 'No TPM runs.\n' : 'No TPM of this user runs.\n'
  const names = withUser ? userNames() : new Map<number, string>()
  const head = [
    'PID',
    ...(withUser ? ['USER'] : []),
    'TPM',
    'INTERFACE',
    'ACTIVITY',
    'ADDRESS',
    'CONTROL',
    'STATE',
    '',
  ]
  const rows = tpms.map((tpm) =>
    [
      String(tpm.pid),
      ...(withUser ? [names.get(tpm.uid) ?? String(tpm.uid)] : []),
      tpm.version ?? '-',
      tpm.interface ?? '-',
      tpm.activity === 'rest' ? 'at rest' : (tpm.activity ?? '-'),
      tpm.address ?? '-',
      tpm.control ?? '-',
      tpm.state ?? '-',
      remarksOn(tpm),
    ].map(terminalText),
  )
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

const remarksOn = ({ name, insecureSeed, remark }: RunningTpm): string =>
  [
    ...(name === undefined ? [] : [`"${name}" of a fleet`]),
    ...(insecureSeed === undefined ? [] : [`insecure seed ${insecureSeed}`]),
    ...(remark === undefined ? [] : [remark]),
  ].join('; ')

/** Of this system's own accounts; others are shown by number. */
function userNames(): Map<number, string> {
  try {
    const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
    return new Map(lines.map((line) => line.split(':')).map(([name = '', , uid]) => [Number(uid), name]))
  } catch {
    return new Map()
  }
}

async function helpText(): Promise<string> {
  const { helpScreen } = await import('../../common/help.ts')
  return `${await helpScreen({
    tool: 'swtpm list',
    summary:
      'Lists the TPMs that this user runs; for root those of all users. Nothing is asked of them but of fleets.',
    table: LIST_OPTIONS,
    examples: [
      ['$0', 'process, version, whether it is at rest, device or socket, control socket, state'],
      ['$0 --json | jq -r \'.[] | select(.version == "2.0") | .pid\'', 'for a script'],
      ['kill $(swtpm list --json | jq .[].pid)', 'end them all, in order'],
    ],
    epilogue:
      'What is listed is what the command lines say; relative paths begin where the TPM was started. TPMs of `swtpm run` and of programs have the process of that program. ' +
      "The number of a device /dev/tpmN is the kernel's, and was printed at the start. Processes of the C program are counted, not listed.",
  })}\n`
}
