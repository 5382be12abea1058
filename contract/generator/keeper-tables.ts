/**
 * The tables of docs/design/0007-sleeping-supervisor.md, in Markdown: name → text. What a message means is said by the comment
 * in front of its number, so the tables are made from the text of contract/keeper.ts.
 */
import { table } from './markdown-table.ts'

/** A declaration `NAME: NUMBER,` and the comment in front of it. */
const ROW = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(\w+): (\d+),/g

/** @throws Error where `source` does not declare `constant` as an object of numbers with comments */
function rowsOf(source: string, constant: string): { name: string; number: string; text: string }[] {
  const body = new RegExp(`export const ${constant} = \\{\n([\\s\\S]*?)\n\\} as const`).exec(source)?.[1]
  const rows = [...(body ?? '').matchAll(ROW)].map(([, comment = '', name = '', number = '']) => ({
    name,
    number,
    text: comment.replace(/\s*\n\s*\*?\s*/g, ' ').trim(),
  }))
  if (rows.length === 0) throw new Error(`contract/keeper.ts: no rows of ${constant}`)
  return rows
}

/** @param source the text of contract/keeper.ts */
export function keeperTables(source: string): Readonly<Record<string, string>> {
  const messages = (constant: string): string =>
    table(
      ['code', 'name', 'meaning'],
      rowsOf(source, constant).map(({ name, number, text }) => [number, name, text]),
    )
  const flags = (constant: string): string =>
    table(
      ['bit', 'meaning'],
      rowsOf(source, constant).map(({ number, text }) => [number, text]),
    )
  return {
    'keeper-requests': messages('KEEPER_REQUESTS'),
    'keeper-events': messages('KEEPER_EVENTS'),
    'keeper-confine': flags('KEEPER_CONFINE'),
    'keeper-rest': flags('KEEPER_REST'),
  }
}
