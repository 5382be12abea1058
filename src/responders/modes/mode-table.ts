/** The words of `--mode`: one row each. The parser, help, completion and the manual page have no other. */
import { didYouMean } from '../../system/did-you-mean.ts'
import { clockBack } from './clock-back.ts'
import { failure, fieldUpgrade, selfTest } from './failing.ts'
import { buffers, contextGap, slots } from './limits.ts'
import type { ModeRow } from './mode.ts'
import { SLOW_PROFILES, slow } from './slow.ts'
import { without } from './without.ts'

export const MODES = {
  'field-upgrade': {
    value: 'infineon',
    optional: true,
    version: '2',
    describe: 'every command is answered UPGRADE; with =infineon SUCCESS, and lists that are empty',
    suggestions: ['infineon'],
    responder: fieldUpgrade,
  },
  failure: { describe: 'the self-test has failed', responder: failure },
  selftest: {
    value: 'TIME',
    describe: 'it tests itself for TIME after power on, and asks to come again',
    responder: selfTest,
  },
  lockout: { version: '2', describe: 'locked by authorizations that have failed (real)' },
  'nv-full': { version: '2', describe: 'no room for another NV index (real)' },
  unowned: { describe: 'cleared: no owner, no owner’s keys (real)' },
  disabled: { version: '1.2', describe: 'disabled by physical presence (real)' },
  deactivated: { version: '1.2', describe: 'deactivated by physical presence (real)' },
  gap: {
    value: 'N',
    version: '2',
    describe: 'CONTEXT_GAP N saved sessions after the oldest',
    responder: contextGap,
  },
  slots: {
    value: 'T/S',
    version: '2',
    describe: 'room for T objects and S sessions',
    responder: slots,
  },
  buffers: {
    value: 'N',
    version: '2',
    describe: 'commands and responses of N bytes at most',
    responder: buffers,
  },
  banks: {
    value: 'ALG[,ALG]…',
    version: '2',
    describe: 'these PCR banks and no others (real)',
    suggestions: ['sha1', 'sha256', 'sha384', 'sha512'],
    check(value) {
      if (!/^\w+(,\w+)*$/.test(value)) throw new RangeError('write the names of banks: sha256,sha384')
    },
  },
  no: {
    value: 'ALG|COMMAND',
    version: '2',
    describe: 'without this algorithm or command',
    suggestions: ['SHA1', 'SHA384', 'RSA', 'ECC', 'CreateLoaded', 'EncryptDecrypt2'],
    responder: without,
  },
  'clock-back': {
    value: 'TIME',
    version: '2',
    describe: 'from the second ReadClock on the clock is TIME back',
    responder: clockBack,
  },
  slow: {
    value: 'PROFILE',
    version: '2',
    describe: `as slow as chips are, about: ${SLOW_PROFILES.join(', ')}`,
    suggestions: SLOW_PROFILES,
    responder: slow,
  },
} as const satisfies Readonly<Record<string, ModeRow>>

export type ModeName = keyof typeof MODES

export interface Mode {
  readonly name: ModeName
  readonly value: string
  readonly row: ModeRow
}

/** @param text `NAME` or `NAME=VALUE` @throws RangeError */
export function parseMode(text: string): Mode {
  const [, name = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? []
  if (!Object.hasOwn(MODES, name)) {
    const near = didYouMean(name, Object.keys(MODES))
    const hint = near === undefined ? '' : `; did you mean ${near}?`
    throw new RangeError(`there is no mode "${name}"${hint} Modes are ${Object.keys(MODES).join(', ')}`)
  }
  const row: ModeRow = MODES[name as ModeName]
  if (value !== undefined && row.value === undefined) throw new RangeError(`${name} takes no value`)
  if ((value ?? '') === '' && row.value !== undefined && !row.optional)
    throw new RangeError(`${name} takes a value: ${name}=${row.value}`)
  // A mistake is said at once, and not when the TPM is there.
  row.responder?.(value ?? '', Math.random)
  row.check?.(value ?? '')
  return { name: name as ModeName, value: value ?? '', row }
}

/** For help. */
export function modeHelp(): string {
  const rows = Object.entries<ModeRow>(MODES).map(([name, row]) => {
    const value = row.value === undefined ? '' : row.optional ? `[=${row.value}]` : `=${row.value}`
    const only = row.version === undefined ? '' : ` (TPM ${row.version === '2' ? '2.0' : '1.2'})`
    return [`${name}${value}`, `${row.describe}${only}`] as const
  })
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}\n`).join('')
}
