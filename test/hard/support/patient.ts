/** A TPM without a supervisor, whose state a test damages or takes away. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, lstatSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EngineClient } from '../../../src/engine-client/engine-client.ts'
import { TAG } from '../../support/state-blob.ts'
import { type Cleanup, temporaryDirectory } from '../../support/swtpm.ts'
import { TPM2, TPM12 } from '../../support/tpm-commands.ts'
import { NV, startEngineTpm, succeed } from './engine-tpm.ts'

export const PCR = 16
export const KEY = Buffer.alloc(16, 7)
export const BLOB = { permanent: 1, volatile: 2, savestate: 3 } as const
export const DECRYPTED = 1

export type Version = '1.2' | '2'

export const COMMANDS = {
  '1.2': { extend: TPM12.extend(PCR, Buffer.alloc(20, 1)), read: TPM12.pcrRead(PCR) },
  '2': { extend: TPM2.pcrExtend(PCR, Buffer.alloc(32, 1)), read: TPM2.pcrRead(PCR) },
} as const

export interface Patient {
  readonly engine: EngineClient
  readonly directory: string
  readonly version: Version
  /** What the engine has logged as errors and warnings, since the last call. */
  takeLog(): string
  file(name: string): string
  init(): Promise<number>
  stop(): Promise<void>
  blob(type: keyof typeof BLOB, flags?: number): Promise<{ tpmResult: number; data?: Buffer }>
}

export async function start(t: Cleanup, version: Version, key?: Buffer, path?: string): Promise<Patient> {
  const directory = path ?? temporaryDirectory(t)
  const engine = await startEngineTpm({ tpmVersion: version, path: directory, ...(key && { key }) })
  t.after(() => engine.close())
  let logged = ''
  engine.on('log', (level, text) => {
    if (level <= 2) logged += `${text}\n`
  })
  return {
    engine,
    directory,
    version,
    takeLog() {
      const text = logged
      logged = ''
      return text
    },
    file: (name) => join(directory, `tpm${version === '2' ? '2' : ''}-00.${name}`),
    init: async () => (await engine.verb('INIT', { initFlags: 0 })).tpmResult,
    async stop() {
      assert.equal((await engine.verb('STOP', {})).tpmResult, 0)
    },
    async blob(type, flags = 0) {
      const outcome = await engine.verb('GET_STATEBLOB', { stateFlags: flags, type: BLOB[type], offset: 0 })
      return 'data' in outcome ? { tpmResult: 0, data: outcome.data } : outcome
    },
  }
}

/** Powered on and started up, with a PCR that is not as after a reset. @returns what reading that PCR answers */
export async function startUp({ engine, version, init }: Patient): Promise<Buffer> {
  assert.equal(await init(), 0)
  await succeed(engine, NV[version].startup, 'Startup')
  await succeed(engine, COMMANDS[version].extend, 'extending a PCR')
  return succeed(engine, COMMANDS[version].read, 'reading a PCR')
}

/** A header of version 2 in front of one field with `content`. */
export function stateFile(content: Buffer, tag: number = TAG.data, version = 2): Buffer {
  const head = Buffer.alloc(16)
  head.writeUInt8(version, 0)
  head.writeUInt8(version, 1)
  head.writeUInt16BE(10, 2)
  head.writeUInt32BE(16 + content.length, 6)
  head.writeUInt16BE(tag, 10)
  head.writeUInt32BE(content.length, 12)
  return Buffer.concat([head, content])
}

export const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(at) ^ 0x10, at)
  return copy
}

/** What may have happened to a state file. `original` is its content. */
export const DAMAGES: { readonly [name: string]: (path: string, original: Buffer) => void } = {
  'other bytes': (path) => writeFileSync(path, Buffer.alloc(500, 0x5a)),
  'a flipped bit in the header': (path, original) => writeFileSync(path, flipped(original, 1)),
  'a flipped bit in the middle': (path, original) =>
    writeFileSync(path, flipped(original, original.length >> 1)),
  'a flipped last bit': (path, original) => writeFileSync(path, flipped(original, original.length - 1)),
  'a shorter file': (path, original) => truncateSync(path, original.length - 1),
  'a header only': (path) => truncateSync(path, 10),
  'an empty file': (path) => truncateSync(path, 0),
  'a whole file around a few bytes': (path) => writeFileSync(path, stateFile(Buffer.alloc(7))),
  'a whole file around nothing': (path) => writeFileSync(path, stateFile(Buffer.alloc(0))),
  'a newer format': (path, original) => writeFileSync(path, stateFile(original.subarray(16), TAG.data, 3)),
  'a directory': (path) => {
    rmSync(path)
    mkdirSync(path)
  },
  'a link': (path, original) => {
    writeFileSync(`${path}.target`, original)
    rmSync(path)
    symlinkSync(`${path}.target`, path)
  },
  'a FIFO': (path) => {
    rmSync(path)
    execFileSync('mkfifo', [path])
  },
  'a file that may not be read': (path) => chmodSync(path, 0),
}

/** What is at a path, so that two looks can be compared. */
export function look(path: string): string {
  const status = lstatSync(path)
  return `${status.mode} ${status.size} ${status.ino} ${status.mtimeMs}`
}

/** Powering a TPM 1.2 on takes 0.3 s. */
export const FEW = ['other bytes', 'a flipped bit in the middle', 'a shorter file', 'a directory']
