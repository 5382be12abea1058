/** The tables of docs/design/0001-engine-wire.md, in Markdown: name → text. */
import { ENGINE_EVENTS, type EngineEvent, SPAWNER_EVENTS } from '../engine-events.ts'
import { ENGINE_OPTIONS, type EngineOption } from '../engine-options.ts'
import { ENGINE_REQUESTS, type EngineRequest, SPAWNER_REQUESTS } from '../engine-requests.ts'
import type { Struct } from '../struct.ts'
import { controlCode, VERBS, type Verb, verbNames } from '../verbs.ts'
import { table } from './markdown-table.ts'

const hex = (value: number): string => `0x${value.toString(16)}`

// biome-ignore lint/suspicious/noExplicitAny: any structure, whatever its fields
function fields(structure: Struct<any>): string {
  if (structure.fields.length === 0) return '–'
  return structure.fields
    .map(({ name, size, bytes }) => (bytes ? name : `u${8 * size} ${name === 'tpmResult' ? 'result' : name}`))
    .join(', ')
}

interface Row extends Pick<EngineRequest, 'req' | 'resp' | 'when' | 'urgent' | 'note' | 'fds'> {
  readonly name: string
  readonly code: number
}

const WHEN = { any: '', running: 'running', stopped: 'not running' } as const

const requests = (rows: readonly Row[]): string =>
  table(
    ['code', 'name', 'request', 'reply', 'when', 'notes'],
    rows.map(({ name, code, req, resp, when, urgent, note, fds }) => [
      hex(code),
      name,
      fields(req),
      fields(resp),
      [urgent ? 'urgent' : '', WHEN[when]].filter(Boolean).join(', '),
      [fds === undefined ? '' : `Descriptors: ${fds}.`, note ?? ''].filter(Boolean).join(' '),
    ]),
  )

const named = (rows: Readonly<Record<string, EngineRequest>>): Row[] =>
  Object.entries(rows).map(([name, row]) => ({ ...row, name }))

const events = (rows: Readonly<Record<string, EngineEvent>>): string =>
  table(
    ['type', 'name', 'payload', 'meaning'],
    Object.entries(rows).map(([name, { type, payload, bytes, note }]) => [
      hex(type),
      name,
      [payload.fields.length === 0 && bytes ? '' : fields(payload), bytes ?? ''].filter(Boolean).join(', '),
      note,
    ]),
  )

function optionText(option: EngineOption): string {
  switch (option.kind) {
    case 'enum':
      return `--${option.flag} ${option.choices.join('\\|')}`
    case 'octal':
      return `--${option.flag} OCTAL`
    case 'decimal':
      return `--${option.flag} N`
    case 'text':
      return `--${option.flag} TEXT`
    case 'switch':
      return `--${option.flag}`
  }
}

export const wireTables = (): Readonly<Record<string, string>> => ({
  options: table(
    ['option', 'meaning'],
    Object.values(ENGINE_OPTIONS).map((option) => [`\`${optionText(option)}\``, option.describe]),
  ),
  verbs: requests(
    verbNames
      .map((name): Row & Verb => ({ ...(VERBS[name] as Verb), name, code: controlCode(name) }))
      .filter(({ supervisorOnly }) => !supervisorOnly),
  ),
  requests: requests(named(ENGINE_REQUESTS)),
  spawner: requests(named(SPAWNER_REQUESTS)),
  events: events({ ...ENGINE_EVENTS }),
  'spawner-events': events({ ...SPAWNER_EVENTS }),
})
