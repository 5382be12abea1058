/** `swtpm trace`: what it prints of a file or pipe, and what it says of one that it cannot read. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { bin, projectRoot } from '../../../../support/swtpm.ts'

const BOOT = join(projectRoot, 'test/vectors/exchanges/boot-6.12.tpmrec')

async function trace(
  args: readonly string[],
  input = '',
): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(bin('swtpm'), ['trace', ...args])
  child.stdin.end(input)
  const ended = new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? -1)))
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await ended, out, err }
}

test('a recording: a line for each command', async () => {
  const { code, out } = await trace([BOOT])
  assert.equal(code, 0)
  assert.equal(out.trimEnd().split('\n').length, 115)
  assert.match(out, /^ {4}0\.000 {2}24\.9 ms {2}Startup startupType CLEAR +→ SUCCESS$/m)
})

test('hex digits on standard input; JSON', async () => {
  const { code, out } = await trace(['--json', '-'], '80010000000c0000017b0008\n')
  assert.equal(code, 0)
  assert.deepEqual(JSON.parse(out), {
    version: '2',
    name: 'GetRandom',
    code: 0x17b,
    handles: {},
    sessions: [],
    parameters: { bytesRequested: 8 },
  })
})

test('--grep has the language of --fault', async () => {
  const grep = async (when: string) => (await trace(['--grep', when, BOOT])).out.trimEnd().split('\n')
  assert.equal((await grep('GetCapability[capability=PCRS]')).length, 2)
  assert.deepEqual(
    (await grep('GetRandom#2-3')).map((line) => line.trim().split(/ +/, 1)[0]),
    ['1.815', '2.473'],
  )
  assert.ok((await grep('Create|Load[session=hmac]')).every((line) => / (Create|Load) /.test(line)))
  const { code, err } = await trace(['--grep', 'GetRandm', BOOT])
  assert.equal(code, 1)
  assert.match(
    err,
    /Cannot use --grep: column 1: no command "GetRandm"; did you mean GetRandom\?\n {2}GetRandm/,
  )
})

test('what cannot be read is named, and the rest is printed', async () => {
  const { code, out, err } = await trace(['-'], 'hello\n80010000000c0000017b0008\n')
  assert.equal(code, 0)
  assert.match(out, /^GetRandom /)
  assert.equal(
    err,
    'swtpm trace: standard input: line 1 is neither hex digits nor anything else that is known\n',
  )
  const nothing = await trace(['-'], '')
  assert.deepEqual(
    [nothing.code, nothing.err],
    [
      1,
      'swtpm trace: standard input: there are no TPM commands in it; `swtpm trace --help` says what can be read\n',
    ],
  )
  const other = await trace(['-'], 'hello\n'.repeat(100))
  assert.equal(other.err.trim().split('\n').length, 5)
  assert.match(
    other.err,
    /: line 3 is .*\n.*: 97 more of its lines could not be read\n.*: there are no TPM commands/,
  )
  const none = await trace(['/none'])
  assert.deepEqual(
    [none.code, none.err],
    [1, 'swtpm trace: Cannot read "/none": no such file or directory\n'],
  )
})

test('a reader that has seen enough ends it without a word', async () => {
  const child = spawn('sh', ['-c', `"${bin('swtpm')}" trace "${BOOT}" | head -n 1; echo "$?"`])
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  assert.match(out, /Startup.*\n0\n$/)
  assert.equal(err, '')
})
