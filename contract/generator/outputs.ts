/** Everything that is made from the contract. */
import { cppHeader } from './cpp-header.ts'
import { keeperHeader } from './keeper-header.ts'
import { wireTables } from './wire-tables.ts'

export const CPP_HEADER = 'native/generated/contract.h'
export const KEEPER_HEADER = 'native/generated/keeper.h'
export const WIRE_DOCUMENT = 'docs/design/0001-engine-wire.md'

/**
 * Replaces what is between `<!-- contract: NAME -->` and `<!-- end -->`.
 * @throws Error for a marker without a table, or a table without a marker
 */
function withTables(document: string): string {
  const tables = new Map(Object.entries(wireTables()))
  const text = document.replace(
    /(<!-- contract: ([a-z-]+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => {
      const table = tables.get(name)
      if (table === undefined) throw new Error(`${WIRE_DOCUMENT}: the contract has no table "${name}"`)
      tables.delete(name)
      return `${begin}\n${table}\n\n${end}`
    },
  )
  if (tables.size > 0)
    throw new Error(`${WIRE_DOCUMENT}: no place for the table ${[...tables.keys()].join(', ')}`)
  return text
}

/** @param read a file of the project, by its path @returns path → text */
export const outputs = (read: (path: string) => string): Map<string, string> =>
  new Map([
    [CPP_HEADER, cppHeader()],
    [KEEPER_HEADER, keeperHeader()],
    [WIRE_DOCUMENT, withTables(read(WIRE_DOCUMENT))],
  ])
