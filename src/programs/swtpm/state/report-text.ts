/** A report as a page for people. */
import { terminalText } from '../../common/terminal-text.ts'
import type { Contents } from './examine/contents.ts'
import type { Report, StateReport } from './report.ts'

const KINDS = { dir: 'directory', linear: 'linear file', blob: 'file' } as const

export function reportText(report: Report): string {
  const { place, tpmVersion, insecureSeed, states, contents } = report
  const lines = [
    `${tpmVersion === undefined ? 'A TPM' : `TPM ${tpmVersion}`} in the ${KINDS[place.kind]} "${terminalText(place.path)}"`,
    ...(place.usedBy === undefined
      ? []
      : [`in use by process ${place.usedBy}: what it has not stored is not here`]),
    ...(insecureSeed === undefined
      ? []
      : [`made with --seed-insecure ${insecureSeed}: its keys are no secret`]),
    '',
    ...table(['state', 'bytes', 'from', 'header', 'encryption'], states.map(stateRow)),
    ...(contents === undefined ? [] : contentsLines(contents)),
  ]
  return `${lines.join('\n')}\n`
}

function stateRow({ name, bytes, from, header, encryption = {} }: StateReport): string[] {
  const { file, migration } = encryption
  return [
    terminalText(name),
    String(bytes),
    from,
    header === undefined
      ? 'damaged'
      : `version ${header.version}, readable from ${header.minimumVersion} on${header.flags.length === 0 ? '' : `; ${header.flags.join(' ')}`}`,
    [file, migration && `migration ${migration}`].filter(Boolean).join(', ') || 'none',
  ]
}

function contentsLines(contents: Contents): string[] {
  const { libtpms, profile, asOf, pcrBanks, nv, persistent, lockout, certificates } = contents
  const active = pcrBanks.filter((bank) => bank.active).map(({ algorithm }) => algorithm)
  const inactive = pcrBanks.filter((bank) => !bank.active).map(({ algorithm }) => algorithm)
  const flags = Object.entries(contents.flags)
    .filter(([, set]) => set)
    .map(([name]) => name)
  return [
    '',
    `As libtpms ${libtpms} reads it, as of ${asOf === 'next start' ? 'its next start' : 'its stored volatile state'}:`,
    '',
    ...pairs([
      [
        'profile',
        profile === undefined
          ? 'none (libtpms 0.10 and newer have them)'
          : terminalText(JSON.stringify(profile)),
      ],
      [
        'PCR banks',
        `${active.join(', ') || 'none'}${inactive.length === 0 ? '' : `; not active: ${inactive.join(', ')}`}`,
      ],
      [
        'password set',
        Object.entries(contents.authorizationSet)
          .map(([name, set]) => `${name} ${set ? 'yes' : 'no'}`)
          .join(', '),
      ],
      ...(flags.length === 0 ? [] : [['flags', flags.join(' ')] as const]),
      ...(lockout === undefined ? [] : [['lockout', lockoutText(lockout)] as const]),
      [
        'certificates',
        [...certificates.ek.map((key) => `EK ${key}`), ...(certificates.platform ? ['platform'] : [])].join(
          ', ',
        ) || 'none',
      ],
    ]),
    ...section(
      'NV indices',
      ['index', 'bytes', 'usually', 'attributes'],
      nv.map(({ index, bytes, usually = '', attributes }) => [
        index,
        String(bytes),
        usually,
        attributes.join(' '),
      ]),
    ),
    ...section(
      'Persistent objects',
      ['handle', 'type', 'usually', 'attributes'],
      persistent.map(({ handle, type, usually = '', attributes }) => [
        handle,
        type,
        usually,
        attributes.join(' '),
      ]),
    ),
    ...persistent.flatMap(({ handle, name }) => (name === '' ? [] : [`  ${handle} has the name ${name}`])),
    ...pcrBanks.flatMap(({ algorithm, values }) =>
      values === undefined ? [] : section(`PCRs, ${algorithm}`, ['', ''], Object.entries(values)),
    ),
  ]
}

function lockoutText({
  isLockedOut,
  failures,
  maximum,
  intervalSeconds,
  recoverySeconds,
}: NonNullable<Contents['lockout']>): string {
  const times =
    intervalSeconds === undefined
      ? ''
      : `; one is forgiven each ${intervalSeconds} s, lockout ends after ${recoverySeconds} s`
  return `${isLockedOut ? 'LOCKED OUT: ' : ''}${failures} of ${maximum} failures${times}`
}

function section(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  return [
    '',
    `${title}: ${rows.length === 0 ? 'none' : ''}`.trimEnd(),
    ...(rows.length === 0 ? [] : table(head, rows)),
  ]
}

const pairs = (rows: readonly (readonly [string, string])[]): string[] => {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = head.every((word) => word === '') ? rows : [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  return all.map((row) =>
    `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd(),
  )
}
