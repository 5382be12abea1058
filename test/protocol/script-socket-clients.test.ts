/** Clients of a script socket that watch exchanges, or take commands and decide about them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { enginePid } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { ScriptConnection, startScriptedTpm } from '../support/script-socket.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const RANDOM = TPM2.getRandom()
const HEX = RANDOM.toString('hex')
const RETRY = 0x922
const CANCELED = 0x909

describe('a watching client', () => {
  it('is told of what matches, until it stops', async (t) => {
    const { data, script } = await startScriptedTpm(t)
    assert.deepEqual(await script.ask({ watch: 'GetRandom' }), { ok: 1 })
    await data.exchange(TPM2.pcrRead(0))
    const response = await data.exchange(RANDOM)
    const { atMs, ms, ...told } = await script.line()
    assert.deepEqual(told, {
      ...{ watch: 1, n: 2, name: 'GetRandom', locality: 0, command: HEX },
      ...{ response: response.toString('hex'), code: 'SUCCESS' },
    })
    assert.ok(Number(atMs) > 0 && Number(ms) > 0)
    await script.ask({ fault: 'GetRandom#1: drop' })
    data.write(RANDOM)
    assert.equal((await script.line()).code, 'no response')
    assert.deepEqual(await script.ask({ stop: 1 }), { ok: 1 })
    await data.exchange(RANDOM)
    assert.deepEqual(await script.ask({ list: true, id: 1 }), {
      ok: [{ fault: 1, rule: 'GetRandom#1: drop', struck: 1 }],
      id: 1,
    })
  })

  it('which does not read misses lines, is told how many, and holds up nothing', async (t) => {
    const { data, script, scriptPath } = await startScriptedTpm(t)
    const slow = await RawConnection.open(scriptPath)
    slow.socket.pause()
    t.after(() => slow.close())
    slow.socket.write('{"watch":"*"}\n')
    await script.ask({ watch: 'GetRandom' })
    // Its answer waits in its socket by now.
    await waitFor(async () => (await script.ask({ list: true })).ok !== undefined, { what: 'an answer' })
    // Some kB each: more than the socket and what is kept for it.
    for (let i = 0; i < 700; i++) {
      await data.exchange(Buffer.concat([Buffer.from('80010000100000000200', 'hex'), Buffer.alloc(4086)]))
    }
    slow.socket.resume()
    let last = 0
    let dropped = 0
    let text = ''
    await waitFor(
      async () => {
        await data.exchange(RANDOM)
        await script.line()
        text += (await slow.read(slow.unread)).toString()
        const lines = text.split('\n')
        text = lines.pop() ?? ''
        for (const line of lines.map((each) => JSON.parse(each))) {
          dropped += line.dropped ?? 0
          last = line.n ?? last
        }
        return dropped > 0 && last > 700
      },
      { what: 'word of what was dropped' },
    )
    assert.ok(dropped < 700)
  })
})

describe('a client that has taken a command', () => {
  it('answers it, has effects strike it, lets it pass, or has another one executed', async (t) => {
    const { data, script } = await startScriptedTpm(t)
    assert.deepEqual(await script.ask({ take: 'GetRandom' }), { ok: 1 })
    const taken = async (): Promise<unknown> => {
      data.write(RANDOM)
      const { n, ...told } = await script.line()
      assert.deepEqual(told, { take: 1, name: 'GetRandom', locality: 0, command: HEX })
      return n
    }
    script.send({ n: await taken(), response: '80010000000a00000101' })
    assert.equal(responseCode(await data.readResponse()), 0x101)

    const struck = await taken()
    const wrong = await script.ask({ n: struck, effects: 'rc=RETRI' })
    assert.match(String(wrong.error), /did you mean RETRY/)
    assert.deepEqual([wrong.column, wrong.n], [4, struck])
    script.send({ n: struck, effects: 'shorten=12' })
    assert.equal((await data.readResponse()).length, 12)

    script.send({ n: await taken(), pass: true })
    assert.equal((await data.readResponse()).length, 20)

    const altered = await taken()
    const executed = await script.ask({ n: altered, command: TPM2.getRandom(2).toString('hex') })
    assert.equal(executed.n, altered)
    assert.match(String(executed.response), /^80010000000e000000000002....$/)
    script.send({ n: altered, effects: 'append=1' })
    assert.equal((await data.read(15)).toString('hex'), `${executed.response}00`)
  })

  for (const how of ['is killed', 'sends no more'] as const) {
    it(`which ${how} gives it back, and watches and takes nothing more`, async (t) => {
      const { data, scriptPath, script } = await startScriptedTpm(t)
      const taker = await ScriptConnection.open(scriptPath)
      await taker.ask({ take: '*' })
      data.write(RANDOM)
      await taker.line()
      if (how === 'is killed') taker.close()
      else assert.equal(await taker.end(), '')
      assert.equal(responseCode(await data.readResponse()), 0)
      assert.equal(responseCode(await data.exchange(RANDOM)), 0)
      assert.deepEqual(await script.ask({ list: true }), { ok: [] })
    })
  }

  it('by two takes decides about it in each, the last one first', async (t) => {
    const { data, script } = await startScriptedTpm(t)
    await script.ask({ take: 'GetRandom' })
    await script.ask({ take: '*' })
    data.write(RANDOM)
    assert.equal((await script.line()).take, 2)
    script.send({ n: 1, command: HEX, id: 'other' })
    assert.equal((await script.line()).take, 1)
    script.send({ n: 1, effects: 'rc=RETRY' })
    assert.equal((await script.line()).id, 'other')
    script.send({ n: 1, pass: true })
    assert.equal(responseCode(await data.readResponse()), RETRY)
    assert.match(String((await script.ask({ n: 1, pass: true })).error), /no command 1 waits for you/)
  })

  it('which asked for more before it went has nothing of it', async (t) => {
    const { data, scriptPath, script } = await startScriptedTpm(t)
    for (let i = 0; i < 10; i++) {
      const gone = await ScriptConnection.open(scriptPath)
      for (const line of ['{"fault":"PCR_Read: append=1"}', '{"take":"*"}', '{"watch":"*"}']) gone.send(line)
      if (i % 2 === 0) gone.close()
      else assert.match(await gone.end(), /^\{"ok":\d+\}\n\{"ok":1\}\n|you send no more/)
    }
    await waitFor(async () => ((await script.ask({ list: true })).ok as unknown[]).length === 10, {
      what: 'all rules',
    })
    assert.equal(responseCode(await data.exchange(RANDOM)), 0)
  })

  it('is told when nobody waits for it any more: cancelled, client gone, engine killed', async (t) => {
    const { data, script, dataPath, controlPath, swtpm } = await startScriptedTpm(t)
    const control = await RawConnection.open(controlPath)
    t.after(() => control.close())
    await script.ask({ take: 'GetRandom' })
    data.write(RANDOM)
    const first = await script.line()
    control.write(CMD.CANCEL_TPM_CMD)
    assert.equal((await control.read(4)).readUInt32BE(), 0)
    assert.equal(responseCode(await data.readResponse()), CANCELED)
    assert.deepEqual(await script.line(), { take: 1, n: first.n, gone: 'cancelled' })
    assert.match(String((await script.ask({ n: first.n, pass: true })).error), /no command 1 waits for you/)

    data.write(RANDOM)
    const second = await script.line()
    data.close()
    assert.deepEqual(await script.line(), { take: 1, n: second.n, gone: 'the client has gone' })

    const lost = await RawConnection.open(dataPath)
    lost.write(RANDOM)
    const third = await script.line()
    process.kill(await enginePid(swtpm.pid), 'SIGKILL')
    // A connection to a socket is the engine's; on devices the client gets an answer.
    assert.equal((await lost.readToEnd()).length, 0)
    assert.deepEqual(await script.line(), { take: 1, n: third.n, gone: 'the engine has ended' })

    // What the next engine serves comes here again.
    const next = await RawConnection.open(dataPath)
    t.after(() => next.close())
    next.write(RANDOM)
    script.send({ n: (await script.line()).n, pass: true })
    assert.equal(responseCode(await next.readResponse()), 0)
  })

  it('and never answers is no reason for a TPM not to end', async (t) => {
    const { data, script, controlPath, swtpm } = await startScriptedTpm(t)
    const control = await RawConnection.open(controlPath)
    t.after(() => control.close())
    await script.ask({ take: '*' })
    data.write(RANDOM)
    await script.line()
    control.write(CMD.SHUTDOWN)
    assert.equal((await control.read(4)).readUInt32BE(), 0)
    assert.equal(await swtpm.exited, 0)
  })
})
