/** Recordings as files: read whole, written while they are made. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, closeSync, constants, openSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readRecording } from '../../../src/recordings/recording.ts'
import { RecordingFile } from '../../../src/recordings/recording-file.ts'
import { log } from '../../../src/system/log.ts'
import { projectRoot, temporaryDirectory } from '../../support/swtpm.ts'

const EXCHANGE = {
  ...{ at: 1.5, duration: 0.25, locality: 0 },
  command: Buffer.from('80010000000c000001440000', 'hex'),
  response: Buffer.from('80010000000a00000000', 'hex'),
}

test('what is written is what is read, for its owner alone', async (t) => {
  const path = join(temporaryDirectory(t), 'r.tpmrec')
  writeFileSync(path, 'what was there before, and longer than what comes')
  chmodSync(path, 0o644)
  const file = new RecordingFile(path, { version: '2', source: 'a test' })
  file.write(EXCHANGE)
  file.write({ ...EXCHANGE, response: undefined, duration: undefined })
  file.close()
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const { header, exchanges, version } = await readRecording(path)
  assert.deepEqual(header, { tpmrec: 1, version: '2', source: 'a test' })
  assert.equal(version, '2')
  assert.deepEqual(
    exchanges.map(({ at, duration }) => [at, duration]),
    [
      [1.5, 0.25],
      [1.5, undefined],
    ],
  )
  assert.deepEqual(
    exchanges.map(({ response }) => response?.length),
    [10, undefined],
  )
})

test('authorization values may stand between the lines', async (t) => {
  const path = join(temporaryDirectory(t), 'r.tpmrec')
  const line = '{"c":"80010000000c000001440000","r":"80010000000a00000000"}'
  writeFileSync(
    path,
    `{"tpmrec":1}\n{"auth":"61","handle":"owner"}\n${line}\n{"auth":"62"}\n{"auth":"","handle":"0x81000001"}\n`,
  )
  const { auths } = await readRecording(path)
  assert.deepEqual(
    auths.map(({ handle, value }) => [handle, value.toString()]),
    [
      [0x40000001, 'a'],
      [undefined, 'b'],
      [0x81000001, ''],
    ],
  )
})

const faults: [content: string | undefined, reason: RegExp][] = [
  [undefined, /no such file or directory/],
  ['', /there is no exchange in it/],
  ['{"tpmrec":1}\n{"c":"8"}\n', /line 2: "c" must be the command in hex digits/],
  ['{"auth":"x"}\n', /line 1: "auth" must be the value in hex digits/],
  ['{"auth":"","handle":"nobody"}\n', /line 1: "handle" must be a text such as/],
]
for (const [content, reason] of faults)
  test(`a file that cannot be used: ${reason.source}`, async (t) => {
    const path = join(temporaryDirectory(t), 'r.tpmrec')
    if (content !== undefined) writeFileSync(path, content)
    await assert.rejects(readRecording(path), { code: 'SWTPM_ERR_RECORDING', message: reason })
  })

test('a full disk ends the recording with one line in the log, and nothing else', (t) => {
  const path = join(temporaryDirectory(t), 'log')
  log.configure({ destination: { kind: 'file', path, truncate: true }, level: 1, prefix: '', format: 'text' })
  assert.throws(
    () => new RecordingFile('/dev/full', { version: '2' }),
    /Cannot write the recording "\/dev\/full": no space left/,
  )
  // A pipe whose reader has gone takes as little as a disk that is full.
  const pipe = join(temporaryDirectory(t), 'pipe')
  execFileSync('mkfifo', [pipe])
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK)
  const file = new RecordingFile(pipe, { version: '2' })
  closeSync(reader)
  for (let i = 0; i < 3; i++) file.write(EXCHANGE)
  file.close()
  const lines = readFileSync(path, 'utf8').trim().split('\n')
  assert.equal(lines.length, 1)
  assert.match(lines[0] as string, /Cannot write the recording .*; nothing more is recorded/)
})

test('a kernel’s boot that is kept can be read', async () => {
  const path = join(projectRoot, 'test/vectors/recordings/boot-6.12.tpmrec')
  const { header, exchanges } = await readRecording(path)
  assert.match(header?.kernel ?? '', /^6\.12/)
  assert.equal(exchanges.length, 10)
})
