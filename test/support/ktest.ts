/** `swtpm ktest`, run to its end, and what it leaves in its directory. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { availableSeries } from '../../src/machine/kernel/debian.ts'
import { withoutQemu } from './qemu-image.ts'
import { Swtpm } from './swtpm.ts'

export interface KtestResult {
  readonly code: number | NodeJS.Signals
  readonly stdout: string
  readonly stderr: string
}

/** @param args options, `--`, command */
export async function runKtest(args: readonly string[], cwd?: string): Promise<KtestResult> {
  const run = new Swtpm(['ktest', ...args], cwd === undefined ? {} : { cwd })
  const code = await run.exited
  return { code, stdout: run.stdout, stderr: run.stderr }
}

/** Why there is no machine with this kernel; false if there is one. */
export async function withoutKernel(series: string): Promise<string | false> {
  if (withoutQemu) return withoutQemu
  return (await availableSeries()).includes(series) ? false : `Debian's archive here has no kernel ${series}`
}

const ENHANCED_PACKET = 6
/** Ethernet, IP and TCP. */
const FRAME_HEADER_BYTES = 54

/** The messages of a pcapng file that swtpm has written, commands and responses in turn. */
export function messagesIn(directory: string, name = 'trace.pcapng'): Buffer[] {
  const file = readFileSync(join(directory, name))
  const found: Buffer[] = []
  for (let at = 0; at < file.length; at += file.readUInt32LE(at + 4)) {
    if (file.readUInt32LE(at) !== ENHANCED_PACKET) continue
    const message = file.subarray(at + 28 + FRAME_HEADER_BYTES, at + 28 + file.readUInt32LE(at + 20))
    if (message.length > 0) found.push(message)
  }
  return found
}

/** Command codes in the order of the trace. */
export const commandCodes = (directory: string, name?: string): number[] =>
  messagesIn(directory, name)
    .filter((_, at) => at % 2 === 0)
    .map((command) => command.readUInt32BE(6))
