/** `swtpm record` and `swtpm replay`: what tpm2-tools ask of one TPM, asked of another. */
import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { NO_REFERENCE_OR_TOOLS, startFront, startReference } from '../support/behind-tpm.ts'
import { projectRoot, Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { useWithTools } from '../support/tool-session.ts'
import { tpm2Tools } from '../support/tools.ts'

const BOOTS = ['exchanges/boot-6.1', 'exchanges/boot-6.12', 'recordings/boot-6.12'].map((name) =>
  join(projectRoot, `test/vectors/${name}.tpmrec`),
)
const DIFFERENT = 2

async function replay(...args: readonly string[]): Promise<{ code: unknown; out: string }> {
  const swtpm = new Swtpm(['replay', ...args])
  const code = await swtpm.exited
  assert.equal(swtpm.stderr, '')
  return { code, out: swtpm.stdout }
}

async function trace(file: string): Promise<string> {
  const swtpm = new Swtpm(['trace', file])
  assert.equal(await swtpm.exited, 0)
  return swtpm.stdout
}

/** What a session with a TPM of ours has recorded. */
async function recorded(t: TestContext, use: (tcti: string) => Promise<unknown>): Promise<string> {
  const directory = temporaryDirectory(t)
  const file = join(directory, 'r.tpmrec')
  const { swtpm, tcti } = await startFront(t, [
    ...[
      '--tpm2',
      '--tpmstate',
      `dir=${directory}`,
      '--flags',
      'not-need-init,startup-clear',
      '--record',
      file,
    ],
  ])
  await use(tcti)
  assert.equal(await swtpm.stop(), 0)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  return file
}

suite('swtpm replay', { skip: NO_REFERENCE_OR_TOOLS }, () => {
  test('a kernel’s boot, to ours and to the C program: no difference', async (t) => {
    for (const boot of BOOTS)
      for (const to of ['ours', `unix:${(await startReference(t)).dataPath}`]) {
        const { code, out } = await replay('--to', to, '--diff', boot)
        assert.match(out, / 0 differently, 1 skipped/)
        assert.equal(code, 0)
      }
  })

  test('keys, sealed data and NV under HMAC sessions of tpm2-tools, to ours and to the C program: no difference', async (t) => {
    const file = await recorded(t, (tcti) => useWithTools(tcti, temporaryDirectory(t)))
    for (const to of ['ours', `unix:${(await startReference(t)).dataPath}`]) {
      const { code, out } = await replay('--to', to, '--diff', file)
      assert.match(out, / 0 differently, 0 skipped/)
      assert.equal(code, 0)
    }
  })

  test('a session with a salt is replaced by one without', async (t) => {
    const directory = temporaryDirectory(t)
    const file = (name: string) => join(directory, name)
    const recording = await recorded(t, async (tcti) => {
      const tpm2 = tpm2Tools(tcti)
      await tpm2('createprimary', '-Q', '-c', file('primary'))
      await tpm2('flushcontext', '-t')
      await tpm2('startauthsession', '--hmac-session', '--tpmkey-context', file('primary'), '-S', file('s'))
      await tpm2('flushcontext', '-t')
      await tpm2('nvdefine', '-Q', '0x1500016', '-C', 'o', '-s', '8', '-P', `session:${file('s')}`)
      await tpm2('nvundefine', '-Q', '0x1500016', '-C', 'o', '-P', `session:${file('s')}`)
    })
    assert.match(await trace(recording), /StartAuthSession tpmKey obj:.*encryptedSalt [0-9a-f]{8}/)
    const { out, code } = await replay('--diff', recording)
    assert.match(out, / 0 differently, 0 skipped/)
    assert.equal(code, 0)
  })

  test('an authorization value that the recording does not say: skipped, or from a line that was added', async (t) => {
    const file = await recorded(t, async (tcti) => {
      const tpm2 = tpm2Tools(tcti)
      const context = join(temporaryDirectory(t), 'primary')
      await tpm2('changeauth', '-c', 'owner', 'secret')
      await tpm2('createprimary', '-Q', '-C', 'owner', '-P', 'secret', '-c', context)
    })
    assert.match((await replay(file)).out, / 0 differently, 0 skipped/)
    const lines = readFileSync(file, 'utf8').split('\n')
    const withoutChange = lines.filter(
      (line) => !line.includes('"c":"8002') || !/"c":"8002.{8}00000129/.test(line),
    )
    const cut = join(temporaryDirectory(t), 'cut.tpmrec')
    writeFileSync(cut, withoutChange.join('\n'))
    assert.match((await replay(cut)).out, /the authorization value of 0x40000001 is not known; add a line/)
    const auth = `{"auth":"${Buffer.from('secret').toString('hex')}","handle":"owner"}`
    writeFileSync(cut, [withoutChange[0], auth, ...withoutChange.slice(1)].join('\n'))
    // The value is right for the recording, and wrong for a new TPM.
    const { code, out } = await replay(cut)
    assert.match(out, /CreatePrimary \(no\. \d+\) differs: code/)
    assert.equal(code, DIFFERENT)
  })

  test('a TPM that differs: what and where, in words and as JSON', async (t) => {
    const file = await recorded(t, (tcti) => tpm2Tools(tcti)('pcrread', 'sha256:16'))
    const { dataPath } = await startReference(t)
    const extended = await recorded(t, (tcti) => tpm2Tools(tcti)('pcrextend', `16:sha256=${'22'.repeat(32)}`))
    await replay('--to', `unix:${dataPath}`, extended)
    const words = await replay('--to', `unix:${dataPath}`, '--diff', file)
    assert.equal(words.code, DIFFERENT)
    assert.match(
      words.out,
      /^PCR_Read \(no\. \d+\) differs\n-PCR_Read [^\n]*\n\+PCR_Read [^\n]*\n {2}pcrValues\[0\]\n {4}- 0{64}\n {4}\+ [0-9a-f]{64}$/m,
    )
    const lines = (await replay('--to', `unix:${dataPath}`, '--json', file)).out.trim().split('\n')
    const read = lines.map((line) => JSON.parse(line)).find(({ name }) => name === 'PCR_Read')
    assert.equal(read.outcome, 'different')
    assert.equal(read.differences[0].path, 'pcrValues[0]')
    assert.equal(JSON.parse(lines.at(-1) as string).different, 1)
  })
})

suite('swtpm record', { skip: NO_REFERENCE_OR_TOOLS }, () => {
  test('a command with a TPM of others behind a socket: its exit code, and what it has asked', async (t) => {
    const { dataPath } = await startReference(t)
    const file = join(temporaryDirectory(t), 'r.tpmrec')
    const run = async (...command: readonly string[]) => {
      const words = ['--behind', `unix:${dataPath}`, '--via', 'socket', '-o', file, '--', ...command]
      const swtpm = new Swtpm(['record', ...words])
      return { code: await swtpm.exited, said: swtpm.stderr, out: swtpm.stdout }
    }
    const { code, out, said } = await run('sh', '-c', 'tpm2_getrandom --hex 8 && exit 7')
    assert.equal(code, 7, said)
    assert.match(out, /^[0-9a-f]{16}$/)
    assert.ok(readFileSync(file, 'utf8').includes(out), 'the random numbers are in the recording')
    assert.equal((await run('sh', '-c', 'kill -TERM $$')).code, 128 + 15)
    assert.equal((await run('/nonexistent')).code, 125)
  })

  test('what is missing or wrong is said', async () => {
    const say = async (...args: readonly string[]): Promise<string> => {
      const swtpm = new Swtpm(['record', ...args])
      assert.equal(await swtpm.exited, 125)
      return swtpm.stderr
    }
    assert.match(await say('-o', 'x', '--', 'true'), /Missing --behind/)
    assert.match(await say('--behind', 'device:/dev/tpm0', '--', 'true'), /Missing --output/)
    assert.match(await say('--behind', 'devise:/dev/tpm0', '-o', 'x', '--', 'true'), /did you mean "device:"/)
    assert.match(await say('true'), /the command follows "--"/)
  })
})
