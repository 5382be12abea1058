/** Rules that come and go on a script socket while the TPM is served. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ScriptConnection, startScriptedTpm } from '../support/script-socket.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'

const RANDOM = TPM2.getRandom()
const HEX = RANDOM.toString('hex')
const RETRY = 0x922

describe('rules on a script socket', () => {
  it('are added, listed and removed while the TPM is served', async (t) => {
    const { data, script } = await startScriptedTpm(t, ['--fault', 'PCR_Read: rc=FAILURE'])
    assert.deepEqual(await script.ask({ fault: 'busy=GetRandom#2-: rc=RETRY', id: 'a' }), { ok: 2, id: 'a' })
    assert.equal(responseCode(await data.exchange(RANDOM)), 0)
    assert.equal(responseCode(await data.exchange(RANDOM)), RETRY)
    assert.deepEqual(await script.ask({ list: true }), {
      ok: [
        { fault: 1, rule: 'PCR_Read: rc=FAILURE', struck: 0 },
        { fault: 2, label: 'busy', rule: 'busy=GetRandom#2-: rc=RETRY', struck: 1 },
      ],
    })
    assert.deepEqual(await script.ask({ remove: 'busy' }), { ok: 2 })
    assert.equal(responseCode(await data.exchange(RANDOM)), 0)
    assert.deepEqual(await script.ask({ clear: true }), { ok: 1 })
    assert.deepEqual(await script.ask({ list: true }), { ok: [] })
    assert.equal(responseCode(await data.exchange(TPM2.pcrRead(0))), 0)
  })

  it('a mistake is told with its column, and the connection goes on', async (t) => {
    const { script } = await startScriptedTpm(t)
    const mistakes: [line: object | string, error: RegExp, column?: number][] = [
      ['nonsense', /it is not JSON/],
      ['[1]', /it is not a JSON object/],
      [{}, /has one of fault, list, .* and this has none/],
      [{ fault: 'x', list: true }, /this has fault and list/],
      [{ fault: 1 }, /"fault" is not a string/],
      [{ fault: 'GetRandm: rc=RETRY' }, /no command "GetRandm"; did you mean GetRandom/, 1],
      [{ fault: 'GetRandom: rx=RETRY' }, /no effect "rx"; did you mean rc\?/, 12],
      [{ watch: 'GetRandom#0' }, /"0" is no number from 1/, 11],
      [{ take: 'GetRandom: rc=RETRY' }, /nothing may follow here/, 10],
      [{ remove: 7 }, /no fault 7; there are none/],
      [{ wait: 'x', timeout: 1 }, /no fault "x"/],
      [{ wait: 1, timeout: -1 }, /"timeout" is not a number from 0 to 86400/],
      [{ stop: 1 }, /you have no watch or take 1/],
      [{ n: 5, pass: true }, /no command 5 waits for you/],
      [{ n: 5 }, /"n" goes with one of/],
      [{ n: 5, response: '8' }, /"response" is not pairs of hexadecimal digits/],
      [' '.repeat(70_000), /a line is longer than 65536 bytes/],
    ]
    for (const [line, error, column] of mistakes) {
      const answer = await script.ask(line)
      assert.match(String(answer.error), error)
      assert.equal(answer.column, column, JSON.stringify(line).slice(0, 100))
    }
    assert.deepEqual(await script.ask({ list: true }), { ok: [] })
  })

  it('those that a client has added stay when it has gone', async (t) => {
    const { data, script, scriptPath } = await startScriptedTpm(t)
    assert.deepEqual(await script.ask({ fault: 'GetRandom: rc=RETRY' }), { ok: 1 })
    script.close()
    assert.equal(responseCode(await data.exchange(RANDOM)), RETRY)
    const other = await ScriptConnection.open(scriptPath)
    assert.deepEqual(await other.ask({ remove: 1 }), { ok: 1 })
    assert.equal(responseCode(await data.exchange(RANDOM)), 0)
    other.close()
  })

  it('one that is removed lets go of the commands that it holds', async (t) => {
    const { data, script } = await startScriptedTpm(t)
    await script.ask({ fault: 'GetRandom: stall' })
    await script.ask({ fault: 'PCR_Read: rc=FAILURE' })
    data.write(RANDOM)
    assert.equal(((await script.ask({ wait: 1 })).ok as { struck: number }).struck, 1)
    assert.equal(data.unread, 0)
    await script.ask({ remove: 1 })
    assert.equal(responseCode(await data.readResponse()), 0)
  })

  it('a command that has been executed is not executed again when the last rule goes', async (t) => {
    const { data, script } = await startScriptedTpm(t)
    const before = await data.exchange(TPM2.pcrRead(10))
    await script.ask({ fault: 'PCR_Extend: late=100s' })
    data.write(TPM2.pcrExtend(10, Buffer.alloc(32, 1)))
    await script.ask({ wait: 1 })
    await script.ask({ clear: true })
    assert.equal(responseCode(await data.readResponse()), 0)
    // pcrUpdateCounter
    const counter = (response: Buffer): number => response.readUInt32BE(10)
    assert.equal(counter(await data.exchange(TPM2.pcrRead(10))), counter(before) + 1)
  })

  it('a strike is waited for, one that was before counts, and none in time is an error', async (t) => {
    const { data, script } = await startScriptedTpm(t)
    await script.ask({ fault: 'GetRandom: rc=RETRY' })
    const late = await script.ask({ wait: 1, timeout: 0, id: 1 })
    assert.match(String(late.error), /fault 1 "GetRandom: rc=RETRY" has struck 0 times in 0 s, and not once/)
    assert.equal(late.timedOut, true)
    script.send({ wait: 1, times: 2, id: 2 })
    // Others are answered meanwhile.
    assert.deepEqual(await script.ask({ list: true }), {
      ok: [{ fault: 1, rule: 'GetRandom: rc=RETRY', struck: 0 }],
    })
    await data.exchange(RANDOM)
    await data.exchange(RANDOM)
    const ok = {
      fault: 1,
      rule: 'GetRandom: rc=RETRY',
      struck: 2,
      n: 2,
      name: 'GetRandom',
      locality: 0,
      command: HEX,
    }
    assert.deepEqual(await script.line(), { ok, id: 2 })
    assert.deepEqual(await script.ask({ wait: 1, times: 2 }), { ok })
    script.send({ wait: 1, times: 3 })
    assert.match(String((await script.ask({ remove: 1 })).error), /was removed/)
    assert.deepEqual(await script.line(), { ok: 1 })
  })
})
