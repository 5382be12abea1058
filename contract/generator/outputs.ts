/** Everything that is made from the contract. */
import { cppHeader } from './cpp-header.ts'
import { keeperHeader } from './keeper-header.ts'
import { keeperTables } from './keeper-tables.ts'
import { wireTables } from './wire-tables.ts'

export const CPP_HEADER = 'native/generated/contract.h'
export const KEEPER_HEADER = 'native/generated/keeper.h'
export const WIRE_DOCUMENT = 'docs/design/0001-engine-wire.md'
export const KEEPER_DOCUMENT = 'docs/design/0007-sleeping-supervisor.md'

const KEEPER_CONTRACT = 'contract/keeper.ts'

/**
 * Replaces what is between `<!-- contract: NAME -->` and `<!-- end -->`.
 * @param path of the document, for messages
 * @throws Error for a marker without a table, or a table without a marker
 */
function withTables(path: string, document: string, tables: Readonly<Record<string, string>>): string {
  const unplaced = new Map(Object.entries(tables))
  const text = document.replace(
    /(<!-- contract: ([a-z-]+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => {
      const table = unplaced.get(name)
      if (table === undefined) throw new Error(`${path}: the contract has no table "${name}"`)
      unplaced.delete(name)
      return `${begin}\n${table}\n\n${end}`
    },
  )
  if (unplaced.size > 0) throw new Error(`${path}: no place for the table ${[...unplaced.keys()].join(', ')}`)
  return text
}

/** @param read a file of the project, by its path @returns path → text */
export const outputs = (read: (path: string) => string): Map<string, string> =>
  new Map([
    [CPP_HEADER, cppHeader()],
    [KEEPER_HEADER, keeperHeader()],
    [WIRE_DOCUMENT, withTables(WIRE_DOCUMENT, read(WIRE_DOCUMENT), wireTables())],
    [
      KEEPER_DOCUMENT,
      withTables(KEEPER_DOCUMENT, read(KEEPER_DOCUMENT), keeperTables(read(KEEPER_CONTRACT))),
    ],
  ])
