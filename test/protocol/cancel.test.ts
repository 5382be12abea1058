/** A cancelled command has not happened, at whatever moment of the search for a key's primes the CANCEL comes. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Random } from '../fuzz/random.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { startSocketTpm } from '../support/swtpm.ts'
import { handlesIn, responseCode, TPM2 } from '../support/tpm-commands.ts'

const TPM_RC_CANCELED = 0x909
const TPM_RC_RETRY = 0x922
const FIRST_TRANSIENT = 0x80000000
/** From within the first prime's search to behind the second's, mostly. */
const LATEST_MS = 150
const ROUNDS = 25

describe('CANCEL_TPM_CMD during the making of an RSA key', () => {
  for (const bits of [2048, 3072]) {
    it(`RSA-${bits}: a key that would have been made anyway, or nothing`, async (t) => {
      const { dataPath, controlPath, swtpm } = await startSocketTpm(t)
      const data = await RawConnection.open(dataPath)
      const control = await RawConnection.open(controlPath)
      const ask = async (command: Buffer): Promise<Buffer> => {
        for (;;) {
          data.write(command)
          const response = await data.readResponse()
          if (responseCode(response) !== TPM_RC_RETRY) return response
        }
      }
      const succeed = async (command: Buffer): Promise<Buffer> => {
        const response = await ask(command)
        assert.equal(responseCode(response), 0, response.toString('hex'))
        return response
      }
      const transients = async (): Promise<number[]> =>
        handlesIn(await succeed(TPM2.getHandles(FIRST_TRANSIENT)))
      /** The same template makes the same key. @returns its public area and name */
      const publicOf = async (created: Buffer): Promise<string> => {
        const handle = created.readUInt32BE(10)
        const area = (await succeed(TPM2.readPublic(handle))).subarray(10).toString('hex')
        await succeed(TPM2.flushContext(handle))
        return area
      }

      const known = TPM2.createPrimaryRsa(bits, Buffer.from('known'))
      const knownPublic = await publicOf(await succeed(known))
      await succeed(TPM2.pcrExtend(7, Buffer.alloc(32, 1)))
      const session = (await succeed(TPM2.startPolicySession)).readUInt32BE(10)
      const pcr = await succeed(TPM2.pcrRead(7))
      const random = new Random(bits)
      let cancelled = 0
      for (let i = 0; i < ROUNDS; i++) {
        const command = TPM2.createPrimaryRsa(bits, Buffer.from(`key ${i}`))
        data.write(command)
        await delay(random.below(LATEST_MS))
        control.write('00000009')
        assert.equal((await control.read(4)).readUInt32BE(), 0)
        const response = await data.readResponse()
        if (responseCode(response) === TPM_RC_CANCELED) {
          cancelled++
        } else {
          assert.equal(responseCode(response), 0)
          assert.equal(await publicOf(response), await publicOf(await succeed(command)))
        }
        assert.deepEqual(await transients(), [])
        assert.deepEqual(await succeed(TPM2.pcrRead(7)), pcr)
        await succeed(TPM2.policyGetDigest(session))
      }
      assert.ok(cancelled > 0)
      assert.equal(await publicOf(await succeed(known)), knownPublic)
      assert.equal(await swtpm.stop(), 0)
    })
  }
})
