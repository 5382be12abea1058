/** The script socket itself: whose it is, how many clients it has, and when it is there. */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { startFleet } from '../support/fleet.ts'
import { isListening } from '../support/listening.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { ScriptConnection, startScriptedTpm, startWithScriptSocket } from '../support/script-socket.ts'
import { startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const RANDOM = TPM2.getRandom()
const RETRY = 0x922

describe('the socket itself', () => {
  it('belongs to its user alone, unless another mode is given', async (t) => {
    const { scriptPath } = await startScriptedTpm(t)
    assert.equal(statSync(scriptPath).mode & 0o777, 0o600)
    const other = `${temporaryDirectory(t)}/s`
    const tpm = await startSocketTpm(t, ['--tpm2', '--script-socket', `${other},mode=0666`])
    await waitFor(() => isListening(other), { what: 'the socket' })
    assert.equal(statSync(other).mode & 0o777, 0o666)
    assert.equal(await tpm.swtpm.stop(), 0)
    assert.throws(() => statSync(other), { code: 'ENOENT' })
  })

  it('has so many clients and no more', async (t) => {
    const { scriptPath, script } = await startScriptedTpm(t)
    await script.ask({ list: true })
    for (let count = 1; count < 64; count++) {
      const other = await ScriptConnection.open(scriptPath)
      t.after(() => other.close())
      assert.deepEqual(await other.ask({ list: true }), { ok: [] })
    }
    const refused = await ScriptConnection.open(scriptPath)
    assert.match(await refused.end(), /the script socket has 64 clients already/)
  })

  it('is there for a TPM that waits for its INIT', async (t) => {
    const { scriptPath, controlPath, dataPath } = await startWithScriptSocket(t, ['--tpm2'])
    const script = await ScriptConnection.open(scriptPath)
    assert.deepEqual(await script.ask({ fault: 'Startup: rc=FAILURE' }), { ok: 1 })
    const control = await RawConnection.open(controlPath)
    control.write(`${CMD.INIT} 00000000`)
    assert.equal((await control.read(4)).readUInt32BE(), 0)
    const data = await RawConnection.open(dataPath)
    assert.equal(responseCode(await data.exchange(TPM2.startupClear)), 0x101)
    for (const each of [script, control, data]) each.close()
  })

  it('a TPM of a fleet has one, too', async (t) => {
    const fleet = await startFleet(t)
    const directory = temporaryDirectory(t)
    const words = ['socket', '--tpm2', '--flags', 'startup-clear', '--tpmstate', `dir=${directory}`]
    const sockets = [
      '--fault',
      'PCR_Read: rc=FAILURE',
      '--server',
      `type=unixio,path=${directory}/d`,
      '--script-socket',
      `${directory}/s`,
    ]
    const added = await fleet.run('add', 'a', '--', ...words, ...sockets)
    assert.equal(added.code, 0, added.stderr)
    const script = await ScriptConnection.open(`${directory}/s`)
    assert.deepEqual(await script.ask({ fault: 'GetRandom: rc=RETRY' }), { ok: 2 })
    const data = await RawConnection.open(`${directory}/d`)
    assert.equal(responseCode(await data.exchange(TPM2.pcrRead(0))), 0x101)
    assert.equal(responseCode(await data.exchange(RANDOM)), RETRY)
    for (const each of [script, data]) each.close()
  })
})
