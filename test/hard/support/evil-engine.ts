/** An engine that its guest has broken into: the real one, in its real sandbox, which does what certain TPM commands say. */
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { encodeFrame, FRAME_KIND } from '../../../contract/engine-channel.ts'
import { type EngineEventName, eventType } from '../../../contract/engine-events.ts'
import { projectRoot, temporaryDirectory } from '../../support/swtpm.ts'
import { hex32, tpm2 } from '../../support/tpm-commands.ts'

const WRAPPED = ['TPMLIB_Process', 'sendmsg', 'recvmsg', 'mmap64', 'syscall']
const LIBRARIES = ['-ltpms', '-lcrypto', '-lseccomp']

let built: string | undefined

/** @returns a program for SWTPM_ENGINE; once for the whole test file */
export function evilEngine(): string {
  // `npm run fuzz -- --sanitize` has built one.
  built ??= process.env.SWTPM_EVIL_ENGINE ?? build([])
  return built
}

/** The same on a kernel that has no Landlock. */
export const evilEngineWithoutLandlock = (): string => build(['-DWITHOUT_LANDLOCK'])

/** One that has the TPM of the engine before, and ends when it is to serve its clients. */
export const engineThatEndsAtAttach = (): string => build(['-DENDS_AT_ATTACH'])

/** The objects of the engine as it was built, and one more. */
function build(definitions: readonly string[]): string {
  const directory = temporaryDirectory({ after: (undo) => process.on('exit', () => undo()) })
  const target = join(directory, 'tpm-engine')
  const objects = join(projectRoot, 'native/build/Release/obj.target/tpm-engine')
  const parts = readdirSync(objects, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.o'))
    .map((name) => join(objects, name))
  execFileSync('g++', [
    ...definitions,
    ...['-std=c++20', '-O1', '-fPIE', '-pie', '-pthread', '-o', target],
    ...[join(projectRoot, 'test/hard/support/evil-engine.cc'), ...parts],
    ...WRAPPED.map((name) => `-Wl,--wrap=${name}`),
    ...LIBRARIES,
  ])
  return target
}

const evil = (action: number, ...parts: (string | Uint8Array)[]): Buffer => tpm2(0x20ee0000 + action, parts)

/** TPM commands that the engine obeys; the response code is 0, or an errno. */
export const EVIL = {
  /** Says these bytes on its channel. */
  say: (bytes: Buffer) => evil(1, bytes),
  /** Says them so many times, from a thread of its own. */
  sayOften: (count: number, bytes: Buffer) => evil(2, hex32(count), bytes),
  /** Answers every request by these bytes from now on. */
  answer: (bytes: Buffer) => evil(3, bytes),
  /** Says the bytes with so many descriptors, 12 at most. */
  passFds: (count: number, bytes: Buffer) => evil(4, hex32(count), bytes),
  /** Does not end when its channel is closed. */
  stay: () => evil(5),
  /** Opens a file, for reading. */
  open: (path: string) => evil(6, Buffer.from(path)),
  /** Writes to the memory that the next engine continues from. */
  poke: (offset: number, bytes: Buffer) => evil(7, hex32(offset), bytes),
  /** Ends with this status. */
  go: (status: number) => evil(8, Buffer.of(status)),
  /** Writes to what it serves. */
  write: (bytes: Buffer) => evil(9, bytes),
  /** Ends, and leaves other bytes in the place of some to the next engine, as many. */
  leave: (before: Buffer, after: Buffer) => evil(10, before, after),
  /** Writes these bytes to its standard error so many times, or until that fails. */
  print: (count: number, bytes: Buffer) => evil(11, hex32(count), bytes),
  /** Writes to a file `filler` in the state directory until that fails, which always is the answer. */
  grow: () => evil(12),
  /** Asks for what there is at a path. */
  look: (path: string) => evil(13, Buffer.from(path)),
} as const

/** An event of an engine, whose payload may be any. */
export const eventFrame = (name: EngineEventName, payload: Buffer): Buffer =>
  encodeFrame(FRAME_KIND.event, 0, eventType(name), payload)
