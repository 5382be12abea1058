/**
 * One client that does its worst on the data channel, another that wants to be served after it, and a control client: that
 * one is answered all the while, the TPM can be switched off and on under the worst of them, and the next is served.
 */
import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import { describe, it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { native } from '../../src/system/native/load.ts'
import { settled } from '../fuzz/rounds.ts'
import { connectUnix } from '../support/connect-unix.ts'
import { deepInWork, enginePid } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { IS_ASLEEP_FORM } from '../support/rest.ts'
import { startSocketTpm } from '../support/swtpm.ts'
import { hex32, responseCode, TPM2 } from '../support/tpm-commands.ts'
import { figure, scaled } from './support/scale.ts'

const GET_CAPABILITY = '00000001'
const GET_TPMESTABLISHED = '00000004'
const SET_LOCALITY = '00000005 00'
const CANCEL = '00000009'
const GET_CONFIG = '0000000f'
const SET_BUFFERSIZE = '00000011 00000000'
const STORE_VOLATILE = '0000000a'
const STOP = '0000000e'
const INIT = '00000002 00000000'

/** Verbs that need not wait for a running command, and the length of their answers. */
const QUICK = [
  [GET_CAPABILITY, 8],
  [GET_CONFIG, 8],
  [SET_BUFFERSIZE, 16],
  [SET_LOCALITY, 4],
  [CANCEL, 4],
] as const

/** Goes on until the connection is closed. */
type Attack = (data: RawConnection, isOver: () => boolean) => Promise<void>

const attacks: { readonly [name: string]: Attack } = {
  'sends nothing': async () => {},
  'sends half a header': async (data) => {
    data.write('8001')
  },
  'sends a command byte by byte': async (data, isOver) => {
    while (!isOver()) {
      for (const byte of TPM2.getRandom()) {
        data.write(Buffer.from([byte]))
        await turn()
      }
    }
  },
  'sends a header that promises more, and closes its half': async (data) => {
    data.write(Buffer.from('80010000100000000144', 'hex'))
    data.socket.end()
  },
  'sends the prefix of a command alone': async (data) => {
    data.write(`00000008 00 ${hex32(12)}`)
  },
  'never reads': async (data, isOver) => {
    data.socket.pause()
    while (!isOver()) {
      if (data.socket.writableLength < 1 << 20) data.write(TPM2.getRandom(32))
      await turn()
    }
  },
  'sends many commands at once': async (data, isOver) => {
    while (!isOver()) {
      if (data.socket.writableLength < 1 << 20) data.write(Buffer.alloc(12 * 4, TPM2.getRandom(32)))
      await turn()
    }
  },
  'has one key made after the other': async (data, isOver) => {
    for (let i = 0; !isOver(); i++) {
      data.write(TPM2.createPrimaryRsa(3072, Buffer.from([i, i >> 8, 7])))
      const response = await data.readResponse()
      if (responseCode(response) !== 0) continue
      data.write(TPM2.flushContext(response.readUInt32BE(10)))
      await data.readResponse()
    }
  },
  'sends nonsense': async (data, isOver) => {
    for (let i = 0; !isOver(); i++) {
      if (data.socket.writableLength < 1 << 20) data.write(Buffer.alloc(5000, i))
      await turn()
    }
  },
}

describe('the control channel answers while a data client', () => {
  for (const [name, attack] of Object.entries(attacks)) {
    it(name, async (t) => {
      const { swtpm, dataPath, controlPath } = await startSocketTpm(t)
      let over = false
      const hostile = await RawConnection.open(dataPath)
      const attacking = attack(hostile, () => over).catch(() => {})
      const next = await RawConnection.open(dataPath)
      next.write(TPM2.getRandom())
      const control = await RawConnection.open(controlPath)

      let slowest = 0
      const ask = async (verb: string, size: number): Promise<void> => {
        const begun = performance.now()
        control.write(verb)
        assert.equal((await settled(`control command ${verb}`, control.read(size))).readUInt32BE(), 0, verb)
        slowest = Math.max(slowest, performance.now() - begun)
      }
      const making = name.includes('key')
      for (let i = IS_ASLEEP_FORM ? 2 : scaled(40, 2000); i > 0; i--) {
        for (const [verb, size] of QUICK) await ask(verb, size)
        // This one waits for the running command.
        if (!making) await ask(GET_TPMESTABLISHED, 8)
      }
      figure(`Control channel while a data client ${name}`, `${Math.ceil(slowest)} ms at most`)
      await ask(STOP, 4)
      await ask(INIT, 4)

      over = true
      hostile.close()
      await settled('the attack', attacking)
      // The power has been off: that the command is answered matters, and by a TPM without Startup.
      assert.ok([0, 0x100].includes(responseCode(await settled('the next client', next.readResponse()))))
      next.write(TPM2.startupClear)
      assert.ok([0, 0x100].includes(responseCode(await settled('Startup', next.readResponse()))))
      next.write(TPM2.getRandom())
      assert.equal(responseCode(await settled('GetRandom', next.readResponse())), 0)
      next.close()
      control.close()
      assert.equal(await settled('the end of swtpm', swtpm.stop()), 0, swtpm.stderr)
    })
  }
})

describe('a control client', () => {
  it('is read from no further while it waits for the TPM', async (t) => {
    const { swtpm, dataPath, controlPath } = await startSocketTpm(t)
    const data = await RawConnection.open(dataPath)
    const engine = await enginePid(swtpm.pid)
    const client = connectUnix(controlPath)
    t.after(() => closeSync(client))
    const chunk = Buffer.alloc(16 * 1024)
    const send = (bytes: Buffer): number => native.sendMessage(client, bytes, 0, bytes.length, [])
    let taken = 0
    let busy = true
    const keys = (async () => {
      // Some are found at once.
      for (let i = 0; busy; i++) {
        data.write(TPM2.createPrimaryRsa(3072, Buffer.from([i, i >> 8, 9])))
        const response = await data.readResponse()
        if (responseCode(response) !== 0) continue
        data.write(TPM2.flushContext(response.readUInt32BE(10)))
        await data.readResponse()
      }
    })()
    await deepInWork(engine)
    assert.equal(send(Buffer.from(STORE_VOLATILE, 'hex')), 4)
    // The kernel keeps some of it, the supervisor some more. Then it is the client that has to wait.
    for (let full = 0; full < 1000; full++) {
      const n = send(chunk)
      if (n > 0) {
        taken += n
        full = 0
      }
      assert.ok(taken < 2 ** 20, `${taken} bytes`)
      await turn()
    }
    busy = false
    await keys
    assert.equal(await swtpm.stop(), 0)
  })
})
