/** `--behind`: another TPM in place of libtpms, asked by tpm2-tools through us. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { NO_REFERENCE_OR_TOOLS, startBehind, startReference } from '../support/behind-tpm.ts'
import { temporaryDirectory } from '../support/swtpm.ts'
import { useWithTools } from '../support/tool-session.ts'
import { tpm2Tools } from '../support/tools.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'

const TPM_RC_FAILURE = 0x101

suite('--behind unix:, before the C program', { skip: NO_REFERENCE_OR_TOOLS }, () => {
  test('tpm2-tools do what they do without us', async (t) => {
    const { dataPath } = await startReference(t)
    const { tcti } = await startBehind(t, `unix:${dataPath}`)
    await useWithTools(tcti, temporaryDirectory(t))
  })

  test('a bit that is flipped in a response under an HMAC session is noticed', async (t) => {
    const { dataPath } = await startReference(t)
    const args = ['--fault', 'CreatePrimary: flip=random', '--fault-seed', '3']
    const { tcti, swtpm } = await startBehind(t, `unix:${dataPath}`, args)
    const context = join(temporaryDirectory(t), 'primary')
    await assert.rejects(
      tpm2Tools(tcti)('createprimary', '-Q', '-c', context),
      /Esys_CreatePrimary|Esys Finish/,
    )
    assert.match(swtpm.stderr, /fault 1 "CreatePrimary: flip=random" struck CreatePrimary/)
  })

  test('TPM is off: FAILURE for the client, a sentence in the log; it is found again when it is there', async (t) => {
    const first = await startReference(t)
    const { dataPath, swtpm } = await startBehind(t, `unix:${first.dataPath}`)
    const client = await TpmClient.open(dataPath)
    await client.succeed(TPM2.getRandom())
    await first.swtpm.stop('SIGKILL')
    assert.equal(responseCode(await client.ask(TPM2.getRandom())), TPM_RC_FAILURE)
    assert.equal(responseCode(await client.ask(TPM2.getRandom())), TPM_RC_FAILURE)
    await swtpm.until(
      () => /Cannot use the TPM "[^"]+": .*; commands are answered FAILURE/.test(swtpm.stderr),
      'it says so',
    )
    await startReference(t, first.directory)
    await client.succeed(TPM2.getRandom())
    await swtpm.until(() => /answers again/.test(swtpm.stderr), 'it says so')
  })
})

suite('--record and --behind recording:', { skip: NO_REFERENCE_OR_TOOLS }, () => {
  test('what was recorded plays the same to the same commands, and FAILURE to others', async (t) => {
    const { dataPath: behind } = await startReference(t)
    const file = join(temporaryDirectory(t), 'r.tpmrec')
    const recorded = await startBehind(t, `unix:${behind}`, ['--record', file])
    const ask = async (path: string): Promise<Buffer[]> => {
      const client = await TpmClient.open(path)
      const answers: Buffer[] = []
      for (const command of [TPM2.getRandom(16), TPM2.getRandom(16), TPM2.pcrRead(0), TPM2.createPrimaryEcc])
        answers.push(await client.succeed(command))
      client.connection.close()
      return answers
    }
    const answers = await ask(recorded.dataPath)
    await recorded.swtpm.stop()
    const played = await startBehind(t, `recording:${file},fast`)
    assert.deepEqual(await ask(played.dataPath), answers)
    const client = await TpmClient.open(played.dataPath)
    assert.equal(responseCode(await client.ask(TPM2.pcrRead(5))), TPM_RC_FAILURE)
    await played.swtpm.stop()
    assert.match(played.swtpm.stderr, /has no response to PCR_Read/)
    assert.match(
      played.swtpm.stderr,
      /4 of 4 exchanges were played; 4 commands had the same bytes, 0 .*, 1 were answered by else=FAILURE/,
    )
    assert.match(readFileSync(file, 'utf8'), /^\{"tpmrec":1,"version":"2","source":"--behind unix:/)
  })

  test('else=stop ends it; else=ours asks libtpms', async (t) => {
    const { dataPath: behind } = await startReference(t)
    const file = join(temporaryDirectory(t), 'r.tpmrec')
    const recorded = await startBehind(t, `unix:${behind}`, ['--record', file])
    await (await TpmClient.open(recorded.dataPath)).succeed(TPM2.getRandom())
    await recorded.swtpm.stop()
    const ours = await startBehind(t, `recording:${file},else=ours`)
    await (await TpmClient.open(ours.dataPath)).succeed(TPM2.pcrRead(5))
    const stopped = await startBehind(t, `recording:${file},else=stop`)
    const client = await TpmClient.open(stopped.dataPath)
    await assert.rejects(client.ask(TPM2.pcrRead(5)))
    assert.equal(await stopped.swtpm.exited, 1)
  })
})
