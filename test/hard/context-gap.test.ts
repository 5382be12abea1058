/** A TPM saves no context any more when the oldest one has fallen too far behind (TPM_RC_CONTEXT_GAP): 65535 of them for libtpms. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type Connected, connectAll, startManaged } from '../support/managed-tpm.ts'
import { hex32, TPM2, tpm2 } from '../support/tpm-commands.ts'

const TPM_PT_CONTEXT_GAP_MAX = 0x114
const TPM_RC_HANDLE_P1 = 0x1cb

it('a shared TPM gives up what a client has taken with it and kept too long, so that the others go on', async (t) => {
  const tpm = await startManaged(t)
  const [taker, idle, busy] = (await connectAll(t, tpm, 3)) as [Connected, Connected, Connected]
  const taken = await taker.newSession()
  const context = (await taker.succeed(tpm2(0x162, [hex32(taken)]))).subarray(10)
  const kept = await idle.newSession()
  const session = await busy.newSession()
  const properties = await busy.succeed(tpm2(0x17a, ['00000006', hex32(TPM_PT_CONTEXT_GAP_MAX), '00000001']))
  // Each use of the session saves it anew.
  for (let gap = properties.readUInt32BE(properties.length - 4); gap >= -8; gap--)
    await busy.succeed(TPM2.policyGetDigest(session))
  await idle.succeed(TPM2.policyGetDigest(kept))
  const said = `Session ${taken & 0xffffff} is flushed: its context was saved so long ago`
  await tpm.swtpm.until(() => tpm.swtpm.stderr.includes(said), 'the warning')
  assert.equal(await taker.code(tpm2(0x161, [context])), TPM_RC_HANDLE_P1)
  await taker.newSession()
})
