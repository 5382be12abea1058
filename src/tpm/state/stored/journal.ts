/** The newest state in a journal. @see native/state/journal.h, docs/design/0004-journal.md */
import { createHash } from 'node:crypto'
import {
  JOURNAL_CHECKED_FROM,
  JOURNAL_CHECKSUM_AT,
  JOURNAL_HEADER_BYTES,
  JOURNAL_SMALLEST_SLOT_BYTES,
} from '../../../../contract/state-format.ts'
import { isMarkedOutdated, unmarked } from './container.ts'
import { damaged } from './state-fault.ts'

const MAGIC = 'swtpmjrn'
const BASE_AT = 48
const LENGTH_AT = 80

interface Entry {
  readonly number: bigint
  readonly base: Buffer
  readonly blob: Buffer
}

/** What counts of a file and the journal beside it, and where it came from. */
export interface NewestState {
  readonly blob: Buffer
  readonly from: 'file' | 'journal'
}

/**
 * @param journal undefined: there is none
 * @throws StateFault `damaged`: the file refers to a journal that has nothing for it
 */
export function newestState(file: Buffer, journal: Buffer | undefined): NewestState {
  if (!isMarkedOutdated(file)) return { blob: file, from: 'file' }
  if (journal === undefined) throw damaged('its newest state is in a journal, which is missing')
  if (journal.length < 2 * JOURNAL_SMALLEST_SLOT_BYTES)
    throw damaged(`the journal beside it has ${journal.length} bytes, which are too few`)
  const base = createHash('sha256').update(file).digest()
  const half = Math.floor(journal.length / 2)
  const slots = [journal.subarray(0, half), journal.subarray(half)]
  const entries = slots.map(readSlot)
  const own = entries.filter((entry): entry is Entry => entry?.base.equals(base) ?? false)
  const [newest] = own.sort((a, b) => (a.number < b.number ? 1 : -1))
  if (newest !== undefined && newest.number > 0n) return { blob: newest.blob, from: 'journal' }
  if (entries.some((entry) => entry !== undefined))
    throw damaged('the journal beside it belongs to another state')
  // The power failed while the first entry was written.
  if (slots.some((slot) => slot.every((byte) => byte === 0))) return { blob: unmarked(file), from: 'file' }
  throw damaged('the journal beside it, where its newest state should be, is damaged')
}

function readSlot(slot: Buffer): Entry | undefined {
  if (slot.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined
  const length = slot.readUInt32BE(LENGTH_AT)
  const end = JOURNAL_HEADER_BYTES + length
  if (end > slot.length) return undefined
  const digest = createHash('sha256').update(slot.subarray(JOURNAL_CHECKED_FROM, end)).digest()
  if (!digest.equals(slot.subarray(JOURNAL_CHECKSUM_AT, JOURNAL_CHECKED_FROM))) return undefined
  return {
    number: slot.readBigUInt64BE(JOURNAL_CHECKED_FROM),
    base: slot.subarray(BASE_AT, LENGTH_AT),
    blob: slot.subarray(JOURNAL_HEADER_BYTES, end),
  }
}
