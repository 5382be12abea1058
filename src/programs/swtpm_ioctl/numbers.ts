/** The numbers on swtpm_ioctl's command line. */
import { HIGHEST_LOCALITY } from '../../../contract/limits.ts'
import { ToolFailure } from '../common/tool-failure.ts'

const UINT32_MAX = 0xffff_ffff

/** @param complaint the reference's words for a value that is no number */
export function parseUint32(text: string, complaint: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(value <= UINT32_MAX)) throw new ToolFailure(complaint)
  return value
}

export function parseLocality(text: string): number {
  const locality = parseUint32(text, `Could not get locality number from ${text}.`)
  if (locality > HIGHEST_LOCALITY)
    throw new ToolFailure(`Locality outside valid range of [0..${HIGHEST_LOCALITY}].`)
  return locality
}

/** Decimal, 0x hexadecimal or 0 octal, as strtoul(3) has it. */
export function parseInfoFlags(text: string): bigint {
  const octal = /^0([0-7]+)$/.exec(text)?.[1]
  if (octal !== undefined) return BigInt.asUintN(64, BigInt(`0o${octal}`))
  if (!/^(0x[0-9a-f]+|0|[1-9]\d*)$/i.test(text)) {
    throw new ToolFailure(`Cannot parse info flags '${text}'; a number is expected, such as 1 or 0x3`)
  }
  return BigInt.asUintN(64, BigInt(text))
}

/** SWTPM_IOCTL_BUFFERSIZE: bytes of each read() and write() of a state blob. Anything that is no such number counts as 1. */
export function parseBufferSize(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const size = Number(/^\s*(\d+)/.exec(text)?.[1] ?? 1)
  return Math.min(Math.max(size, 1), 1024 * 1024)
}
