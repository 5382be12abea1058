/** `swtpm fault`. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startScriptedTpm } from '../support/script-socket.ts'
import { bin, Swtpm } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'

const RANDOM = TPM2.getRandom()
const RETRY = 0x922

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
      [[scriptPath, 'ad'], /Unknown verb "ad"; did you mean "add"\?/],
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
