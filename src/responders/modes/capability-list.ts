/** The list in a response to TPM2_GetCapability. @see TPM 2.0 Part 3, 30.2; Part 2, 10.10 */
import type { Response } from '../response.ts'

export const CAP = { algs: 0, commands: 2, pcrs: 5, properties: 6, curves: 8 } as const

/** u32 capability, behind u8 moreData. */
const AT_MORE = 10
const AT_CAPABILITY = 11
const AT_COUNT = 15
const AT_ENTRIES = 19
/** By capability, of those whose entries are all of one length. */
const ENTRY_BYTES: Readonly<Record<number, number>> = { 0: 6, 2: 4, 6: 8, 8: 2 }

export interface CapabilityList {
  readonly more: boolean
  readonly capability: number
  readonly entries: readonly Buffer[]
}

/** @returns undefined for anything else, such as a refusal */
export function capabilityList({ bytes, code }: Response): CapabilityList | undefined {
  if (code !== 0 || bytes.length < AT_ENTRIES) return undefined
  const capability = bytes.readUInt32BE(AT_CAPABILITY)
  const count = bytes.readUInt32BE(AT_COUNT)
  const entries: Buffer[] = []
  for (let at = AT_ENTRIES; entries.length < count && at < bytes.length; ) {
    // A selection of PCRs: u16 algorithm, u8 length, bytes.
    const size = capability === CAP.pcrs ? 3 + (bytes[at + 2] ?? 0) : ENTRY_BYTES[capability]
    if (size === undefined) return undefined
    entries.push(bytes.subarray(at, at + size))
    at += size
  }
  return { more: bytes[AT_MORE] !== 0, capability, entries }
}

/** The same response with another list. */
export function withList(response: Response, { more, capability, entries }: CapabilityList): Response {
  const head = Buffer.alloc(AT_ENTRIES)
  const bytes = Buffer.concat([head, ...entries])
  bytes.writeUInt16BE(0x8001, 0)
  bytes.writeUInt32BE(bytes.length, 2)
  bytes[AT_MORE] = more ? 1 : 0
  bytes.writeUInt32BE(capability, AT_CAPABILITY)
  bytes.writeUInt32BE(entries.length, AT_COUNT)
  return response.withBytes(bytes)
}

/** Where the list is one of properties, with other values. */
export function withProperties(
  response: Response,
  edit: (property: number, value: number) => number,
): Response {
  const list = capabilityList(response)
  if (list?.capability !== CAP.properties) return response
  const entries = list.entries.map((entry) => {
    const edited = Buffer.from(entry)
    edited.writeUInt32BE(edit(entry.readUInt32BE(0), entry.readUInt32BE(4)) >>> 0, 4)
    return edited
  })
  return withList(response, { ...list, entries })
}
