/** The engine with disk-shim.c preloaded: its storage operations written down, or made to fail. */
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { type Cleanup, temporaryDirectory } from '../../support/swtpm.ts'
import { engineWith } from './preload.ts'

const OPERATIONS = [
  '',
  'open',
  'create',
  'write',
  'read',
  'sync',
  'syncDirectory',
  'truncate',
  'rename',
  'unlink',
  'link',
  'close',
  'respond',
] as const
export type Operation = Exclude<(typeof OPERATIONS)[number], ''>

export interface DiskRecord {
  readonly operation: Operation
  readonly fd: number
  /** The new descriptor of an open or create. */
  readonly result: number
  /** Of a write; -1: where the last one ended. The new size of a truncate. */
  readonly offset: number
  readonly names: readonly string[]
  readonly data: Buffer
}

export interface Fault {
  readonly operation: Operation
  /** `ENOSPC` and so on; or how many bytes a read or write does. */
  readonly error: keyof typeof constants.errno | number
  /** Leave so many of them alone first. */
  readonly skip?: number
  /** Let so many fail; all until {@link DiskShim.heal} by default. */
  readonly count?: number
}

const LOG_START = 4096
const RULES_START = 64
const RULE_SIZE = 24
const RULES = 8
const RECORD_HEAD = 32
const FILE_SIZE = 64 << 20
const FOR_EVER = 0xffffffff

export class DiskShim {
  /** A program to be started in place of tpm-engine; see SWTPM_ENGINE. */
  readonly engine: string
  readonly #fd: number

  constructor(t: Cleanup, { recording = false } = {}) {
    const directory = temporaryDirectory(t)
    const control = join(directory, 'control')
    this.#fd = openSync(control, 'w+')
    t.after(() => closeSync(this.#fd))
    ftruncateSync(this.#fd, FILE_SIZE)
    this.#putWord(8, recording ? 1 : 0)
    this.engine = engineWith(directory, 'disk-shim.c', { DISK_SHIM: control })
  }

  /** Everything recorded so far, in order. */
  records(): DiskRecord[] {
    const used = Number(this.#get(0, 8).readBigUInt64LE())
    const log = this.#get(LOG_START, used)
    const records: DiskRecord[] = []
    for (let at = 0; at < used; at += log.readUInt32LE(at)) {
      const text = log.readUInt32LE(at + 24)
      const data = log.readUInt32LE(at + 28)
      const body = at + RECORD_HEAD
      const names = log.toString('utf8', body, body + text).split('\0')
      records.push({
        operation: OPERATIONS[log.readUInt32LE(at + 4)] as Operation,
        fd: log.readInt32LE(at + 8),
        result: log.readInt32LE(at + 12),
        offset: Number(log.readBigInt64LE(at + 16)),
        names: names.slice(0, -1),
        data: log.subarray(body + text, body + text + data),
      })
    }
    return records
  }

  /** From now on these fail. */
  breakDisk(...faults: Fault[]): void {
    this.heal()
    faults.forEach(({ operation, error, skip = 0, count = FOR_EVER }, index) => {
      const rule = Buffer.alloc(RULE_SIZE)
      const short = typeof error === 'number'
      rule.writeUInt32LE(OPERATIONS.indexOf(operation), 0)
      rule.writeInt32LE(short ? 0 : constants.errno[error], 4)
      rule.writeUInt32LE(skip, 8)
      rule.writeUInt32LE(count, 12)
      rule.writeUInt32LE(short ? error : 0, 20)
      writeSync(this.#fd, rule, 0, RULE_SIZE, RULES_START + index * RULE_SIZE)
    })
  }

  heal(): void {
    writeSync(this.#fd, Buffer.alloc(RULES * RULE_SIZE), 0, RULES * RULE_SIZE, RULES_START)
  }

  /** How many operations have failed since {@link breakDisk}. */
  get hits(): number {
    let sum = 0
    for (let i = 0; i < RULES; i++) sum += this.#get(RULES_START + i * RULE_SIZE + 16, 4).readUInt32LE()
    return sum
  }

  #get(offset: number, size: number): Buffer {
    const buffer = Buffer.alloc(size)
    readSync(this.#fd, buffer, 0, size, offset)
    return buffer
  }

  #putWord(offset: number, value: number): void {
    const word = Buffer.alloc(4)
    word.writeUInt32LE(value)
    writeSync(this.#fd, word, 0, 4, offset)
  }
}
