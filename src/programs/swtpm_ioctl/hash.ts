/** swtpm_ioctl -h: the D-RTM hash sequence, PTM_HASH_START, PTM_HASH_DATA …, PTM_HASH_END. */
import { readFileSync } from 'node:fs'
import { PTM_HASH_DATA_SIZE } from '../../../contract/verb-structures.ts'
import type { PtmClient } from '../../ptm-client/ptm-client.ts'
import { reasonOf } from '../../system/reason.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import { checkResult } from './check-result.ts'

/** @param text what is hashed, or `-` for standard input */
export async function hash(client: PtmClient, text: string): Promise<void> {
  checkResult('HASH_START', await client.call('HASH_START', {}))
  for await (const data of text === '-' ? standardInput() : pieces([argumentBytes(text)])) {
    checkResult('HASH_DATA', await client.call('HASH_DATA', { length: data.length, data }))
  }
  checkResult('HASH_END', await client.call('HASH_END', {}))
}

async function* standardInput(): AsyncGenerator<Buffer> {
  try {
    yield* pieces(process.stdin)
  } catch (error) {
    if (error instanceof ToolFailure) throw error
    throw new ToolFailure(`Could not read from standard input: ${reasonOf(error)}`, { cause: error })
  }
}

/** Cuts a stream into pieces as large as the verb takes. */
export async function* pieces(stream: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  let rest = Buffer.alloc(0)
  for await (const chunk of stream) {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= PTM_HASH_DATA_SIZE) {
      yield rest.subarray(0, PTM_HASH_DATA_SIZE)
      rest = rest.subarray(PTM_HASH_DATA_SIZE)
    }
  }
  if (rest.length > 0) yield rest
}

/**
 * The bytes of a command-line argument. Node has decoded it as UTF-8, which loses what is none; the hash would be that
 * of other data then. The kernel still has the bytes.
 */
function argumentBytes(text: string): Buffer {
  if (!text.includes('\ufffd')) return Buffer.from(text)
  const raw = readFileSync('/proc/self/cmdline', 'latin1')
    .split('\0')
    .map((word) => Buffer.from(word, 'latin1'))
  return raw.find((bytes) => bytes.toString() === text) ?? Buffer.from(text)
}
