/** The script socket: rules that come and go, commands that a client watches, takes and gives back. */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { startFleet } from '../support/fleet.ts'
import { isListening } from '../support/listening.ts'
import { enginePid } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { ScriptConnection, startScriptedTpm, startWithScriptSocket } from '../support/script-socket.ts'
import { bin, Swtpm, startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const RANDOM = TPM2.getRandom()
const HEX = RANDOM.toString('hex')
const RETRY = 0x922
const CANCELED = 0x909

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

describe('swtpm fault', () => {
  const run = async (...words: string[]): Promise<{ code: unknown; out: string; err: string }> => {
    const child = new Swtpm(['fault', ...words], { program: bin('swtpm') })
    return { code: await child.exited, out: child.stdout, err: child.stderr }
  }

  it('adds, lists, waits for, removes', async (t) => {
    const { data, scriptPath } = await startScriptedTpm(t)
    const done = (out: string): object => ({ code: 0, out, err: '' })
    assert.deepEqual(await run(scriptPath), done('FAULT  LABEL  STRUCK  RULE\n'))
    assert.deepEqual(
      await run(scriptPath, 'add', 'busy=GetRandom: rc=RETRY'),
      done('fault 1: busy=GetRandom: rc=RETRY\n'),
    )
    assert.deepEqual(await run(scriptPath, 'wait', 'busy', '--timeout', '0'), {
      ...{ code: 2, out: '' },
      err: 'swtpm fault: fault 1 "busy=GetRandom: rc=RETRY" has struck 0 times in 0 s, and not once\n',
    })
    assert.equal(responseCode(await data.exchange(RANDOM)), RETRY)
    assert.deepEqual(
      await run(scriptPath, 'wait', '1'),
      done('fault 1 "busy=GetRandom: rc=RETRY" has struck once, last GetRandom (no. 1)\n'),
    )
    assert.deepEqual(
      await run(scriptPath, 'list', '--json'),
      done('[{"fault":1,"label":"busy","rule":"busy=GetRandom: rc=RETRY","struck":1}]\n'),
    )
    assert.deepEqual(await run(scriptPath, 'remove', 'busy'), done('fault 1 was removed\n'))
    assert.deepEqual(await run(scriptPath, 'clear'), done('0 faults were removed\n'))
  })

  it('says what is wrong, and what to do', async (t) => {
    const { scriptPath, dataPath } = await startScriptedTpm(t)
    const wrong: [words: string[], err: RegExp][] = [
      [
        [scriptPath, 'add', 'GetRandom: rc=RETRI'],
        /column 15: .*did you mean RETRY\?\n {2}GetRandom: rc=RETRI\n {16}\^{5}\n/,
      ],
      [[scriptPath, 'add', 'GetRandom:', 'rc=RETRY'], /a rule is one word: put it in quotes/],
      [[scriptPath, 'ad'], /Unknown verb "ad": add, list, remove, clear, wait/],
      [[scriptPath, 'list', '--timeout', '1'], /--timeout is for "wait", not for "list"/],
      [[], /Missing SOCKET/],
      [
        ['/nonexistent'],
        /Cannot ask the TPM at "\/nonexistent": none is served there; start one with --script-socket/,
      ],
      [['/dev/null'], /it is a character device, not a socket/],
      [[scriptPath, 'remove', '3'], /no fault 3; there are none/],
    ]
    for (const [words, err] of wrong) {
      const { code, out, err: said } = await run(...words)
      assert.match(said, err)
      assert.deepEqual([code, out], [1, ''])
    }
    assert.ok(dataPath)
    const { code, out } = await run('--help')
    assert.equal(code, 0)
    assert.match(out, /swtpm fault SOCKET .*\n(.*\n)*RULE = \[LABEL=\]WHEN: EFFECT/)
  })
})
