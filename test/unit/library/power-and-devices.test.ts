/** Power, snapshots and devices of a TPM that a program has made. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crash, truncate } from '../../../src/library/faults.ts'
import { createTpm, RC, tcpSocket, unixSocket } from '../../../src/library/index.ts'
import { handlesIn, TPM2 } from '../../support/tpm-commands.ts'
import { waitFor } from '../../support/wait.ts'

const GET_RANDOM_8 = '80010000000c0000017b0008'

describe('power', () => {
  it('is cut and comes back', async () => {
    await using tpm = await createTpm()
    const pcr16 = async (): Promise<string> => (await tpm.send(TPM2.pcrRead(16))).bytes.toString('hex', 12)
    const fresh = await pcr16()
    await tpm.send(TPM2.pcrExtend(16, Buffer.alloc(32, 1)))
    assert.notEqual(await pcr16(), fresh)
    await tpm.powerOff('cut')
    await tpm.powerOn('none')
    assert.equal((await tpm.send(GET_RANDOM_8)).code, RC.INITIALIZE)
    await tpm.powerOff()
    await tpm.powerOn('clear')
    assert.equal((await tpm.send(GET_RANDOM_8)).code, RC.SUCCESS)
  })

  it('is lost behind the back of the operating system', async () => {
    await using tpm = await createTpm()
    await tpm.reset()
    assert.equal((await tpm.send(GET_RANDOM_8)).code, RC.INITIALIZE)
  })

  it('goes on in another engine after a crash', async () => {
    await using tpm = await createTpm()
    using _crash = tpm.on('GetRandom#1', crash())
    await assert.rejects(tpm.send(GET_RANDOM_8))
    await waitFor(async () => (await tpm.send(GET_RANDOM_8).catch(() => undefined))?.code === RC.SUCCESS, {
      what: 'another engine',
    })
  })

  it('goes on in another engine after as many crashes as are asked for', async () => {
    await using tpm = await createTpm()
    await using device = await tpm.expose(unixSocket())
    using crashes = tpm.on('GetRandom', crash())
    // One more than engines that may die by themselves.
    for (let died = 0; died < 12; died++) await assert.rejects(device.exchange(GET_RANDOM_8))
    crashes[Symbol.dispose]()
    assert.equal((await device.exchange(GET_RANDOM_8)).text, 'SUCCESS')
  })

  it('goes back to a snapshot', async () => {
    await using tpm = await createTpm()
    const handles = async (): Promise<number[]> => tpm.handles('transient')
    const before = await tpm.snapshot()
    await tpm.send(TPM2.createPrimaryEcc)
    assert.equal((await handles()).length, 1)
    await tpm.restore(before)
    assert.deepEqual(await handles(), [])
  })
})

describe('expose', () => {
  it('gives a TPM one device at a time', async () => {
    await using tpm = await createTpm()
    const device = await tpm.expose(unixSocket())
    await assert.rejects(tpm.expose(tcpSocket()), { code: 'SWTPM_ERR_DEVICE' })
    await device.unplug()
    await assert.rejects(device.exchange(GET_RANDOM_8), { code: 'ENOENT' })
    await using next = await tpm.expose(tcpSocket())
    assert.match(next.tcti, /^swtpm:host=127\.0\.0\.1,port=\d+$/)
    assert.equal((await next.exchange(GET_RANDOM_8)).text, 'SUCCESS')
  })

  it('shows what a client did as exchanges', async () => {
    await using tpm = await createTpm()
    await using device = await tpm.expose(unixSocket())
    tpm.on('GetRandom#2', truncate(5))
    assert.equal((await device.exchange(GET_RANDOM_8)).bytes.length, 20)
    const file = await device.open()
    assert.equal(handlesIn((await file.exchange(TPM2.getHandles(0x80000000))).bytes).length, 0)
    await file.close()
    assert.equal(tpm.count('*'), 2)
  })
})
