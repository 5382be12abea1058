/**
 * Exchanges out of what has recorded them: pcapng, pcap, .tpmrec, the log of swtpm at level 20, hex digits. What it is, is told by how it
 * begins. Each exchange comes as soon as its bytes are there, so that a pipe can be followed.
 */
import type { TracedExchange } from '../tpm-structures/exchange-text.ts'
import { Pairing, type RecordedMessage, type RecordedStrike } from './pairing.ts'
import { isPcap, PcapReader } from './pcap.ts'
import { isPcapng, PcapngReader } from './pcapng.ts'
import { type Said, TextReader } from './text.ts'

type Reader = PcapngReader | PcapReader | TextReader

/**
 * @param input the bytes of a file or pipe, in any pieces
 * @param note told of what could not be read, each line of it once
 * @param said told of the lines of a .tpmrec that are no exchanges: its header, authorization values
 * @throws what `input` throws
 */
export async function* exchangesFrom(
  input: AsyncIterable<Uint8Array>,
  note: (problem: string) => void,
  said?: Said,
): AsyncGenerator<TracedExchange> {
  let reader: Reader | undefined
  let first = Buffer.alloc(0)
  const pairing = new Pairing()
  for await (const piece of input) {
    let bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    if (reader === undefined) {
      first = Buffer.concat([first, bytes])
      // Four bytes say what it is.
      if (first.length < 4) continue
      bytes = first
      reader = readerOf(first, note, said)
    }
    for (const item of reader.read(bytes)) yield* exchangesOf(item, pairing)
  }
  reader ??= new TextReader(note, said)
  for (const item of reader.end(first.length < 4 ? first : undefined)) yield* exchangesOf(item, pairing)
  yield* pairing.end()
}

function exchangesOf(
  item: TracedExchange | RecordedMessage | RecordedStrike,
  pairing: Pairing,
): TracedExchange[] {
  if ('command' in item) return [item]
  if (!('fault' in item)) return pairing.take(item)
  pairing.struck(item.fault)
  return []
}

/** @param first four bytes at least */
function readerOf(first: Buffer, note: (problem: string) => void, said: Said | undefined): Reader {
  if (isPcapng(first)) return new PcapngReader(note)
  return isPcap(first) ? new PcapReader(note) : new TextReader(note, said)
}
