/** `swtpm doctor`: what this machine can do, what stops it, and the line that mends it. */
import { didYouMean } from '../../../system/did-you-mean.ts'
import { sentenceOf } from '../../../system/fault.ts'
import { PACKAGE_VERSION } from '../../../system/version.ts'
import { readOptions } from '../../common/options/read-options.ts'
import { UsageError, usageText } from '../../common/options/usage-error.ts'
import { printError, printOut } from '../../common/output.ts'
import { terminalText } from '../../common/terminal-text.ts'
import { DOCTOR_OPTIONS, USES, type Use } from './doctor-options.ts'
import { type Diagnosis, diagnose } from './uses.ts'

/** Without a word: it is what all need. */
const NEEDED: readonly Use[] = ['socket']

const TITLES: Readonly<Record<Use, string>> = {
  socket: 'a TPM on a socket, for QEMU and TSS libraries (swtpm socket, swtpm run)',
  cuse: 'a device /dev/NAME of CUSE (swtpm cuse)',
  'vtpm-proxy': 'a device /dev/tpmN of the kernel (swtpm chardev --vtpm-proxy)',
  services: 'a TPM at every start of the machine (systemd)',
  libvirt: 'TPMs of libvirt’s virtual machines',
  containers: 'a TPM in a container',
}

/** @param argv the words behind `doctor` @returns the exit code: 1 where something is missing that was asked for */
export async function doctor(argv: readonly string[]): Promise<number> {
  try {
    const given = readOptions(DOCTOR_OPTIONS, argv)
    if (given.has('help')) {
      printOut(await helpText())
      return 0
    }
    const asked = given.strays.map(useNamed)
    const diagnoses = (asked.length === 0 ? USES : asked).map(diagnose)
    printOut(given.has('json') ? jsonOf(diagnoses) : textOf(diagnoses))
    const needed = asked.length === 0 ? NEEDED : asked
    return diagnoses.some(({ use, works }) => !works && needed.includes(use)) ? 1 : 0
  } catch (error) {
    if (error instanceof UsageError)
      printError(usageText('swtpm doctor', 'swtpm doctor', error, DOCTOR_OPTIONS))
    else printError(`swtpm doctor: ${terminalText(sentenceOf(error))}\n`)
    return 1
  }
}

function useNamed(word: string): Use {
  const use = USES.find((each) => each === word)
  if (use !== undefined) return use
  const meant = didYouMean(word, USES)
  throw new UsageError(
    `Unknown use "${word}": ${meant === undefined ? USES.join(', ') : `did you mean "${meant}"?`}`,
  )
}

const jsonOf = (diagnoses: readonly Diagnosis[]): string =>
  `${JSON.stringify({ version: PACKAGE_VERSION, uses: diagnoses }, undefined, 2)}\n`

function textOf(diagnoses: readonly Diagnosis[]): string {
  const lines: string[] = []
  const told = new Set<string>()
  for (const { use, works, checks } of diagnoses) {
    if (lines.length > 0) lines.push('')
    lines.push(`${use}: ${works ? 'works' : 'does not work'} – ${TITLES[use]}`)
    for (const { id, level, text, mend } of checks) {
      // What several need is told once.
      const isTold = told.has(`${id} ${text}`)
      if (isTold && level === 'ok') continue
      told.add(`${id} ${text}`)
      lines.push(`  ${level.padEnd(7)}  ${isTold ? `${id}, as above` : terminalText(text)}`)
      if (mend !== undefined && !isTold) lines.push(`           → ${terminalText(mend)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

async function helpText(): Promise<string> {
  const { helpScreen } = await import('../../common/help.ts')
  return `${await helpScreen({
    tool: 'swtpm doctor',
    operands: '[USE…]',
    summary: `Says what this machine can do with swtpm, what stops it, and the line that mends it. USE is one of ${USES.join(', ')}; all without one. Nothing is changed.`,
    table: DOCTOR_OPTIONS,
    examples: [
      ['$0', 'everything'],
      ['$0 vtpm-proxy && sudo swtpm chardev --vtpm-proxy --tpm2 --tpmstate dir=tpm', 'in a script'],
      ["$0 --json | jq '.uses[] | select(.works | not)'", 'what does not work'],
    ],
    epilogue:
      'It judges for the user who runs it: run it with sudo to see what root can do. Exit code 0: what was asked for works, or, without a word, TPMs on sockets do; 1: something is missing.',
  })}\n`
}
