/** `swtpm state`: looks at the state of a TPM without starting it, and brings it into another form. */
import type { TpmVersion } from '../../../../contract/engine-options.ts'
import { keyOf } from '../../../command-line/parse/key.ts'
import { sentenceOf } from '../../../system/fault.ts'
import { readStateKey } from '../../../tpm/state/state-key.ts'
import type { StateKeys } from '../../../tpm/state/stored/state-blob.ts'
import { StateFault, type StateFaultKind } from '../../../tpm/state/stored/state-fault.ts'
import { findPlace, readStoredTpm } from '../../../tpm/state/stored/stored-tpm.ts'
import type { GivenOptions } from '../../common/options/given-options.ts'
import { readOptions } from '../../common/options/read-options.ts'
import { unknownVerb } from '../../common/options/unknown-verb.ts'
import { UsageError, usageText } from '../../common/options/usage-error.ts'
import { printError, printOut } from '../../common/output.ts'
import { terminalText } from '../../common/terminal-text.ts'
import type { Report } from './report.ts'
import { STATE_OPTIONS, STATE_VERBS, type StateVerb } from './state-options.ts'

type Given = GivenOptions<typeof STATE_OPTIONS>

/** Of `show` and `verify`. Others: 0, or 1 where nothing has been done. */
const EXIT: Readonly<Record<StateFaultKind, number>> = { place: 1, damaged: 2, key: 3 }

/** Options that only one verb has. */
const OF_ONE_VERB: Readonly<Partial<Record<keyof typeof STATE_OPTIONS, readonly StateVerb[]>>> = {
  'new-key': ['rekey'],
  'no-key': ['rekey'],
  overwrite: ['convert'],
  json: ['show', 'verify'],
  'migration-key': ['show', 'verify'],
  key: ['show', 'verify', 'rekey'],
}

/** @param argv the words behind `state` @returns the exit code */
export async function state(argv: readonly string[]): Promise<number> {
  try {
    const given = readOptions(STATE_OPTIONS, argv)
    if (given.has('help')) {
      printOut(await helpText())
      return 0
    }
    const [verb, place, to, ...strays] = given.strays
    if (!isVerb(verb)) throw unknownVerb(verb, STATE_VERBS)
    if (place === undefined) throw new UsageError(`Missing PLACE: swtpm state ${verb} DIR, or FILE`)
    const [stray] =
      verb === 'convert' || verb === 'backup' ? strays : [...(to === undefined ? [] : [to]), ...strays]
    if (stray !== undefined) throw new UsageError(`Unexpected argument "${stray}"`)
    for (const [name, verbs] of Object.entries(OF_ONE_VERB))
      if (given.has(name as keyof typeof STATE_OPTIONS) && !verbs.includes(verb))
        throw new UsageError(`--${name} is for ${verbs.join(', ')}, not for ${verb}`, name)
    return await run(verb, place, to, given)
  } catch (error) {
    if (error instanceof UsageError) printError(usageText('swtpm state', 'swtpm state', error, STATE_OPTIONS))
    else printError(`swtpm state: ${terminalText(sentenceOf(error))}\n`)
    return error instanceof StateFault ? EXIT[error.kind] : 1
  }
}

const isVerb = (word: string | undefined): word is StateVerb =>
  (STATE_VERBS as readonly (string | undefined)[]).includes(word)

async function run(verb: StateVerb, word: string, to: string | undefined, given: Given): Promise<number> {
  const place = findPlace(word)
  const version = versionOf(given)
  switch (verb) {
    case 'show':
      return show(await report(word, given), given.has('json'))
    case 'verify':
      return verify(await report(word, given), given.has('json'))
    case 'backup': {
      if (to === undefined)
        throw new UsageError('Missing TO: swtpm state backup PLACE TO, a directory that is to be made')
      const { backup } = await import('./backup.ts')
      printOut(`${terminalText(backup(place, to, version))}\n`)
      return 0
    }
    case 'convert': {
      const { convert } = await import('./convert.ts')
      const done = await convert({ from: place, to, version, overwrite: given.has('overwrite') })
      printOut(`${terminalText(done)}\n`)
      return 0
    }
    case 'rekey': {
      const { rekey } = await import('./rekey.ts')
      if (given.has('new-key') === given.has('no-key'))
        throw new UsageError('rekey takes --new-key KEY or --no-key, one of the two', 'new-key')
      const [oldKey, newKey] = [keyFor(given, 'key'), keyFor(given, 'new-key')]
      try {
        printOut(`${terminalText(await rekey({ place, version, oldKey, newKey }))}\n`)
      } finally {
        for (const key of [oldKey, newKey]) key?.fill(0)
      }
      return 0
    }
  }
}

function versionOf(given: Given): TpmVersion | undefined {
  if (given.has('tpm2') && given.has('tpm12')) throw new UsageError('Either --tpm2 or --tpm12')
  return given.has('tpm2') ? '2' : given.has('tpm12') ? '1.2' : undefined
}

function keyFor(given: Given, name: 'key' | 'new-key' | 'migration-key'): Buffer | undefined {
  const source = keyOf(given, name)
  return source && readStateKey(source, (warning) => printError(`swtpm state: ${warning}\n`))
}

async function report(word: string, given: Given): Promise<Report> {
  const { reportOf } = await import('./report.ts')
  const keys: StateKeys = { file: keyFor(given, 'key'), migration: keyFor(given, 'migration-key') }
  try {
    return await reportOf(readStoredTpm(findPlace(word), versionOf(given)), keys)
  } finally {
    keys.file?.fill(0)
    keys.migration?.fill(0)
  }
}

async function show(report: Report, json: boolean): Promise<number> {
  if (json) printOut(`${JSON.stringify(report, undefined, 2)}\n`)
  else {
    const { reportText } = await import('./report-text.ts')
    printOut(reportText(report))
    for (const { text } of report.faults) printError(`swtpm state: ${terminalText(text)}\n`)
  }
  return exitCodeOf(report)
}

function verify(report: Report, json: boolean): number {
  if (json) printOut(`${JSON.stringify(report, undefined, 2)}\n`)
  else if (report.faults.length > 0)
    for (const { text } of report.faults) printError(`swtpm state: ${terminalText(text)}\n`)
  else {
    const names = report.states.map(({ name }) => terminalText(name)).join(', ')
    printOut(`whole: ${names}; libtpms ${report.contents?.libtpms} starts on it\n`)
  }
  return exitCodeOf(report)
}

const exitCodeOf = ({ faults: [worst] }: Report): number => (worst === undefined ? 0 : EXIT[worst.kind])

async function helpText(): Promise<string> {
  const { helpScreen } = await import('../../common/help.ts')
  return `${await helpScreen({
    tool: 'swtpm state',
    operands: `${STATE_VERBS.join('|')} PLACE [TO]`,
    summary:
      'Looks at the state of a TPM without starting it there, and brings it into another form. PLACE is a state directory, a linear state file (file://FILE), or a single state as a migration moves it.',
    table: STATE_OPTIONS,
    examples: [
      ['$0 show /var/lib/tpm', 'header, NV indices, persistent keys, PCR banks, lockout; never a secret'],
      ['$0 verify --key pwdfile=pw /var/lib/tpm', 'whether it decrypts, is whole, and libtpms starts on it'],
      ['$0 backup /var/lib/tpm /root/tpm-copy', 'a consistent copy, also of a TPM that runs'],
      ['$0 convert /var/lib/tpm tpm.state', 'a directory into a linear file; the other way round, too'],
      ['$0 convert /var/lib/tpm', 'plain files without a journal, for the C program'],
      [
        '$0 rekey /var/lib/tpm --new-key file=key,mode=aes-256-cbc',
        'encrypt a state; --no-key: in the clear',
      ],
    ],
    epilogue:
      'show, verify and backup only read, and may look at a TPM that runs. convert and rekey keep the state locked meanwhile, and change it in one step. ' +
      'Exit code of show and verify: 0 whole; 1 there is no TPM or it cannot be read; 2 it is damaged; 3 a key is missing or is another one.',
  })}\n`
}
