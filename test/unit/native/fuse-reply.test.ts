/** A FUSE request gets exactly one reply, whatever the code that handles it forgets or repeats. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { noCxxCompiler } from '../../support/compilers.ts'
import { temporaryDirectory } from '../../support/swtpm.ts'
import { compileNative } from './support/compile-native.ts'

const HEADER_BYTES = 16

/** struct fuse_out_header: u32 length, s32 error, u64 unique, host order; then the payload. */
function decode(bytes: Buffer): { unique: number; error: number; payload: number[] }[] {
  const replies = []
  for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at)) {
    replies.push({
      unique: Number(bytes.readBigUInt64LE(at + 8)),
      error: Math.abs(bytes.readInt32LE(at + 4)),
      payload: [...bytes.subarray(at + HEADER_BYTES, at + bytes.readUInt32LE(at))],
    })
  }
  return replies
}

describe('FuseReply', { skip: noCxxCompiler() }, () => {
  it('replies once: as told, or EIO when it is dropped', (t) => {
    const directory = temporaryDirectory(t)
    const program = compileNative(t, 'test/unit/native/fuse-reply.cc', 'native/engine/serve/fuse_reply.cc')
    const replies = join(directory, 'replies')
    const device = openSync(replies, 'w')
    const { status, stderr } = spawnSync(program, { stdio: ['ignore', 'ignore', 'pipe', device] })
    closeSync(device)
    assert.equal(status, 0)
    const { EBUSY, EIO } = constants.errno
    assert.deepEqual(decode(readFileSync(replies)), [
      { unique: 2, error: 0, payload: [1, 2, 3] },
      { unique: 4, error: EBUSY, payload: [] },
      { unique: 8, error: EIO, payload: [] },
      { unique: 10, error: 0, payload: [] },
      { unique: 12, error: 0, payload: [] },
      { unique: 14, error: EIO, payload: [] },
    ])
    assert.match(String(stderr), /FUSE request 8 was dropped.*\n.*FUSE request 14 was dropped/)
  })
})
