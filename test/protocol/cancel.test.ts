/** A cancelled command has not happened, at whatever moment of the search for a key's primes the CANCEL comes. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { enginePath } from '../../src/engine-client/channel/engine-program.ts'
import { Random } from '../fuzz/random.ts'
import { CMD } from '../support/control-commands.ts'
import { deepInWork, enginePid } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { type Swtpm, startSocketTpm } from '../support/swtpm.ts'
import { asksAgain, TpmClient } from '../support/tpm-client.ts'
import { handlesIn, responseCode, TPM2 } from '../support/tpm-commands.ts'

const TPM_RC_CANCELED = 0x909
const FIRST_TRANSIENT = 0x80000000
/** From within the first prime's search to behind the second's, mostly. */
const LATEST_MS = 150
const ROUNDS = 25

/** An engine built without it cannot be told to end libcrypto's own search: native/engine/libcrypto/README.md. */
const endsLibcryptosSearch = (): boolean => readFileSync(enginePath()).includes('RSA_generate_key_ex')

class CancellableTpm {
  readonly #swtpm: Swtpm
  readonly #data: RawConnection
  readonly #control: RawConnection
  readonly #random: Random

  private constructor(swtpm: Swtpm, data: RawConnection, control: RawConnection, seed: number) {
    this.#swtpm = swtpm
    this.#data = data
    this.#control = control
    this.#random = new Random(seed)
  }

  static async start(t: TestContext, seed: number): Promise<CancellableTpm> {
    const { dataPath, controlPath, swtpm } = await startSocketTpm(t)
    const data = await RawConnection.open(dataPath)
    return new CancellableTpm(swtpm, data, await RawConnection.open(controlPath), seed)
  }

  async stop(): Promise<void> {
    assert.equal(await this.#swtpm.stop(), 0)
  }

  succeed(command: Buffer): Promise<Buffer> {
    return new TpmClient(this.#data).succeed(command)
  }

  /** CANCEL at a random moment. @returns the response of a command that has ended before, undefined if it was cancelled */
  cancel(command: Buffer): Promise<Buffer | undefined> {
    return this.#cancelAfter(command, () => delay(this.#random.below(LATEST_MS)))
  }

  /** CANCEL when the search is known to be under way. @returns as {@link cancel} */
  async cancelAtWork(command: Buffer): Promise<Buffer | undefined> {
    const engine = await enginePid(this.#swtpm.pid)
    return this.#cancelAfter(command, (response) => Promise.race([response, deepInWork(engine)]))
  }

  async #cancelAfter(
    command: Buffer,
    moment: (response: Promise<Buffer>) => Promise<unknown>,
  ): Promise<Buffer | undefined> {
    for (;;) {
      this.#data.write(command)
      const answered = this.#data.readResponse()
      await moment(answered)
      this.#control.write(CMD.CANCEL_TPM_CMD)
      assert.equal((await this.#control.read(4)).readUInt32BE(), 0)
      const response = await answered
      const code = responseCode(response)
      if (code === TPM_RC_CANCELED) return undefined
      if (asksAgain(response)) continue
      assert.equal(code, 0, response.toString('hex'))
      return response
    }
  }

  async transients(): Promise<number[]> {
    return handlesIn(await this.succeed(TPM2.getHandles(FIRST_TRANSIENT)))
  }

  /** @returns the public area and name of a primary key, which is then flushed */
  async publicOf(created: Buffer): Promise<string> {
    const handle = created.readUInt32BE(10)
    const area = (await this.succeed(TPM2.readPublic(handle))).subarray(10).toString('hex')
    await this.succeed(TPM2.flushContext(handle))
    return area
  }
}

describe('CANCEL_TPM_CMD during the making of an RSA key', () => {
  for (const bits of [2048, 3072]) {
    it(`RSA-${bits} of a seed: a key that would have been made anyway, or nothing`, async (t) => {
      const tpm = await CancellableTpm.start(t, bits)
      const known = TPM2.createPrimaryRsa(bits, Buffer.from('known'))
      const knownPublic = await tpm.publicOf(await tpm.succeed(known))
      await tpm.succeed(TPM2.pcrExtend(7, Buffer.alloc(32, 1)))
      const session = (await tpm.succeed(TPM2.startPolicySession)).readUInt32BE(10)
      const pcr = await tpm.succeed(TPM2.pcrRead(7))
      let cancelled = 0
      for (let i = 0; i < ROUNDS; i++) {
        const command = TPM2.createPrimaryRsa(bits, Buffer.from(`key ${i}`))
        const response = await tpm.cancel(command)
        if (response === undefined) cancelled++
        else assert.equal(await tpm.publicOf(response), await tpm.publicOf(await tpm.succeed(command)))
        assert.deepEqual(await tpm.transients(), [])
        assert.deepEqual(await tpm.succeed(TPM2.pcrRead(7)), pcr)
        await tpm.succeed(TPM2.policyGetDigest(session))
      }
      // On a slow or very quick machine all of those moments may have been outside of the searches.
      for (let i = ROUNDS; cancelled === 0 && i < 2 * ROUNDS; i++) {
        const response = await tpm.cancelAtWork(TPM2.createPrimaryRsa(bits, Buffer.from(`key ${i}`)))
        if (response === undefined) cancelled++
        else await tpm.publicOf(response)
        assert.deepEqual(await tpm.transients(), [])
      }
      assert.ok(cancelled > 0)
      assert.equal(await tpm.publicOf(await tpm.succeed(known)), knownPublic)
      await tpm.stop()
    })

    it(`RSA-${bits} at random: a key that can be loaded, or nothing`, async (t) => {
      const tpm = await CancellableTpm.start(t, bits)
      const parent = (await tpm.succeed(TPM2.createPrimaryEcc)).readUInt32BE(10)
      let cancelled = 0
      for (let i = 0; i < ROUNDS; i++) {
        const command = TPM2.createRsa(parent, bits)
        // The last round without a CANCEL that was in time leaves that to no chance.
        const atWork = cancelled === 0 && i === ROUNDS - 1
        const response = await (atWork ? tpm.cancelAtWork(command) : tpm.cancel(command))
        assert.deepEqual(await tpm.transients(), [parent])
        if (response === undefined) cancelled++
        else
          await tpm.succeed(
            TPM2.flushContext((await tpm.succeed(TPM2.load(parent, response))).readUInt32BE(10)),
          )
      }
      assert.ok(cancelled > 0 || !endsLibcryptosSearch())
      await tpm.stop()
    })
  }
})
