/** Clients that say that nothing more will come, and wait for the answer to what came: socat and `nc -N` are such. */

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { startSocketTpm } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'

it('control channel: a verb that takes time is answered, then the connection ends', async (t) => {
  const { controlPath } = await startSocketTpm(t)
  for (const verb of ['00000002 00000000', '0000000e', '0000000f']) {
    const control = await RawConnection.open(controlPath)
    control.write(verb)
    control.socket.end()
    const answer = await control.readToEnd()
    assert.equal(answer.toString('hex', 0, 4), '00000000', verb)
  }
})

it('control channel: half a command and no more ends the connection at once', async (t) => {
  const { controlPath } = await startSocketTpm(t)
  // It listens before it serves.
  const first = await RawConnection.open(controlPath)
  first.write('0000000f')
  await first.read(8)
  first.close()
  const took = async (): Promise<number> => {
    const control = await RawConnection.open(controlPath)
    const begun = Date.now()
    control.write(`${CMD.INIT} 00`)
    control.socket.end()
    assert.equal((await control.readToEnd()).length, 0)
    return Date.now() - begun
  }
  // One that waits for the rest does so every time.
  const times: number[] = []
  for (let i = 0; i < 5; i++) times.push(await took())
  assert.ok(Math.min(...times) < 450, `did not wait for the rest: ${times} ms`)
})

it('data channel: a command is answered', async (t) => {
  const { dataPath } = await startSocketTpm(t)
  const data = await RawConnection.open(dataPath)
  data.write(TPM2.getRandom())
  data.socket.end()
  assert.equal(responseCode(await data.readResponse()), 0)
})
