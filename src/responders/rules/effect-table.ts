/** The words of `--fault` behind the colon: one row each. The parser, `--fault help`, completion and the manual page have no other. */
import { append, flip, set, shorten, size, tag, truncate } from '../effects/altered.ts'
import type { Effect } from '../effects/effect.ts'
import { previous, rc, respond } from '../effects/instead.ts'
import { errno, hangUp, pieces, unplug } from '../effects/link.ts'
import { double, drop, mute } from '../effects/lost.ts'
import { delay, late, stall } from '../effects/timing.ts'
import { crash, forget, powercut, reset } from '../effects/tpm.ts'
import type { Random } from '../random.ts'
import { parseTime } from '../time.ts'

export interface EffectRow {
  readonly group: 'timing' | 'instead' | 'altered' | 'lost' | 'link' | 'TPM'
  /** Of the value, for help; undefined: it takes none. */
  readonly value?: string
  /** It may be left out. */
  readonly optional?: boolean
  readonly describe: string
  /** For completion. */
  readonly suggestions?: readonly string[]
  /** @throws RangeError: that is no such value; what is allowed */
  readonly make: (value: string, random: Random) => Effect
}

export const EFFECTS = {
  delay: {
    group: 'timing',
    value: 'TIME[..TIME]',
    describe: 'the TPM gets the command so much later',
    make(value, random) {
      const times = value.split('..')
      if (times.length > 2) throw new RangeError('write 900ms, or 0ms..300ms for a time between two')
      const [least, most = least] = times.map(timeOf) as [number, number?]
      return delay([least, most], random)
    },
  },
  stall: { group: 'timing', describe: 'the TPM never gets the command; the client waits', make: stall },
  late: {
    group: 'timing',
    value: 'TIME',
    describe: 'the client gets the response so much later',
    make: (value) => late(timeOf(value)),
  },
  rc: {
    group: 'instead',
    value: 'CODE[@pN|@sN|@hN]',
    describe: 'a response code instead: RETRY, HASH@p1 (parameter 1), 0x922',
    suggestions: [
      'RETRY',
      'TESTING',
      'YIELDED',
      'FAILURE',
      'LOCKOUT',
      'CONTEXT_GAP',
      'OBJECT_MEMORY',
      'UPGRADE',
    ],
    make: (value) => rc(value),
  },
  respond: {
    group: 'instead',
    value: 'HEX',
    describe: 'these bytes instead, whatever they are',
    make: (value) => respond(value),
  },
  previous: { group: 'instead', describe: 'the response of the command before', make: previous },
  truncate: {
    group: 'altered',
    value: 'N',
    describe: 'the first N bytes; the header says what it said',
    make: (value) => truncate(numberOf(value)),
  },
  shorten: {
    group: 'altered',
    value: 'N',
    describe: 'the first N bytes, and a header that says so',
    make: (value) => shorten(numberOf(value)),
  },
  append: {
    group: 'altered',
    value: 'N|0xHEX',
    describe: 'N zeros, or these bytes, behind it',
    make: (value) => append(/^\d+$/.test(value) ? numberOf(value) : value.replace(/^0x/i, '')),
  },
  size: {
    group: 'altered',
    value: '[+-]N',
    describe: 'another size in the header; with a sign, added to the right one',
    make: (value) => size(value),
  },
  tag: {
    group: 'altered',
    value: 'HEX',
    describe: 'another tag',
    make: (value) => tag(value.replace(/^0x/i, '')),
  },
  flip: {
    group: 'altered',
    value: 'OFFSET[.BIT]|random',
    describe: 'one bit is another; random: any behind the header',
    suggestions: ['random'],
    make(value, random) {
      if (value === 'random') return flip('random', 0, random)
      const [offset, bit = '0', ...more] = value.split('.')
      if (more.length > 0 || numberOf(bit) > 7) throw new RangeError('write 12, 12.7 or random')
      return flip(numberOf(offset as string), numberOf(bit))
    },
  },
  set: {
    group: 'altered',
    value: '[command.]PATH:VALUE',
    describe:
      'another value in a field of the response, or of the command: data.count:64, randomBytes.size:+1',
    make(value) {
      const colon = value.indexOf(':')
      if (colon < 1 || colon === value.length - 1)
        throw new RangeError('write PATH:VALUE, such as data.count:64')
      const given = value.slice(colon + 1)
      return set(value.slice(0, colon), /^(0x[0-9a-f]{1,8}|\d+)$/i.test(given) ? Number(given) : given)
    },
  },
  drop: { group: 'lost', describe: 'the command: the TPM does not execute it', make: drop },
  mute: { group: 'lost', describe: 'the response: the TPM has executed the command', make: mute },
  double: { group: 'lost', describe: 'not lost, but sent twice', make: double },
  hangup: { group: 'link', describe: 'the connection is closed', make: hangUp },
  unplug: {
    group: 'link',
    value: 'TIME',
    optional: true,
    describe: 'the device is taken away, and comes back after TIME',
    make: (value) => unplug(value === '' ? undefined : timeOf(value)),
  },
  pieces: {
    group: 'link',
    value: 'N[@TIME]',
    describe: 'the response comes N bytes at a time, and with TIME between',
    make(value) {
      const [count, pause, ...more] = value.split('@')
      const sizeBytes = numberOf(count as string)
      if (more.length > 0 || sizeBytes < 1) throw new RangeError('write 8, or 8@20ms')
      return pieces(sizeBytes, pause === undefined ? 0 : timeOf(pause))
    },
  },
  errno: {
    group: 'link',
    value: 'NAME',
    describe: 'read() on a CUSE device fails with it; any other connection is closed',
    suggestions: ['EIO', 'EBUSY', 'ETIME', 'ENODEV'],
    make: (value) => errno(value),
  },
  crash: { group: 'TPM', describe: 'the engine is killed, and another one goes on', make: crash },
  powercut: { group: 'TPM', describe: 'power off and on, nothing saved, and no answer', make: powercut },
  reset: { group: 'TPM', describe: 'power off and on before the command', make: reset },
  forget: {
    group: 'TPM',
    value: 'sessions|objects|savestate|nv:INDEX',
    describe: 'the TPM loses something before the command',
    suggestions: ['sessions', 'objects', 'savestate'],
    make(value) {
      if (value === 'sessions' || value === 'objects' || value === 'savestate') return forget({ what: value })
      const index = /^nv:(0x[0-9a-f]{1,8}|\d+)$/i.exec(value)?.[1]
      if (index === undefined) throw new RangeError('write sessions, objects, savestate or nv:0x1500001')
      return forget({ what: 'nv', index: Number(index) })
    },
  },
} as const satisfies Readonly<Record<string, EffectRow>>

export type EffectName = keyof typeof EFFECTS

function timeOf(text: string): number {
  const ms = parseTime(text)
  if (ms === undefined) throw new RangeError(`"${text}" is no time; write 900ms, 2s or 50us`)
  return ms
}

/** More would only be memory: no message is that long. */
const MAX_NUMBER = 65_536

function numberOf(text: string): number {
  if (!/^\d+$/.test(text)) throw new RangeError(`"${text}" is no whole number`)
  if (Number(text) > MAX_NUMBER) throw new RangeError(`${text} is more than ${MAX_NUMBER}`)
  return Number(text)
}
