/** The JavaScript library: TPMs that a program makes, exposes and scripts. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs, { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { crash, delay, mute, pieces, rc, set, stall, truncate } from '../../../src/library/faults.ts'
import {
  connection,
  createTpm,
  type Exchange,
  RC,
  Response,
  RuleError,
  tcpSocket,
  unixSocket,
} from '../../../src/library/index.ts'
import { projectRoot } from '../../support/swtpm.ts'
import { handlesIn, TPM2, TPM12 } from '../../support/tpm-commands.ts'
import { waitFor } from '../../support/wait.ts'

const GET_RANDOM_8 = '80010000000c0000017b0008'

/** The processes that this one has started. */
const children = (): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readdirSync(`/proc/${pid}/task`).length > 0 && parentOf(pid) === process.pid
      } catch {
        return false
      }
    })

function parentOf(pid: string): number {
  return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[1])
}

const openDescriptors = (): number => readdirSync('/proc/self/fd').length

describe('createTpm', () => {
  it('makes a TPM that answers, and leaves nothing', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'swtpm-test-'))
    const { TMPDIR } = process.env
    process.env.TMPDIR = folder
    t.after(async () => {
      process.env.TMPDIR = TMPDIR ?? '/tmp'
      await rm(folder, { recursive: true })
    })
    // What is loaded later has descriptors of its own.
    await (await createTpm()).close()
    const before = openDescriptors()
    {
      await using tpm = await createTpm()
      const response = await tpm.send(GET_RANDOM_8)
      assert.equal(response.code, RC.SUCCESS)
      assert.equal((response.parameters.randomBytes as Buffer).length, 8)
      await using device = await tpm.expose(unixSocket())
      assert.equal((await device.exchange(GET_RANDOM_8)).text, 'SUCCESS')
    }
    assert.deepEqual(children(), [])
    assert.deepEqual(readdirSync(folder), [])
    assert.equal(openDescriptors(), before)
  })

  it('leaves nothing when what uses it throws', async () => {
    const use = async (): Promise<void> => {
      await using tpm = await createTpm()
      await using _device = await tpm.expose(tcpSocket())
      throw new Error('a test that fails')
    }
    await assert.rejects(use(), /a test that fails/)
    assert.deepEqual(children(), [])
  })

  for (const [how, end] of [
    ['exits', 'process.exit(3)'],
    ['throws', 'throw new Error()'],
  ] as const)
    it(`leaves nothing when its program ${how}`, async (t) => {
      const folder = await mkdtemp(join(tmpdir(), 'swtpm-test-'))
      t.after(() => rm(folder, { recursive: true }))
      const text = `import { createTpm, unixSocket } from '${join(projectRoot, 'dist/index.js')}'
        await (await createTpm()).expose(unixSocket())
        ${end}`
      const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', text], {
        env: { ...process.env, TMPDIR: folder },
      })
      assert.equal(status, how === 'exits' ? 3 : 1)
      assert.deepEqual(readdirSync(folder), [])
    })

  it('makes a hundred TPMs in one process, each with a state of its own', async () => {
    const tpms = await Promise.all(Array.from({ length: 100 }, () => createTpm()))
    try {
      const random = await Promise.all(tpms.map((tpm) => tpm.send(GET_RANDOM_8)))
      assert.equal(new Set(random.map(({ bytes }) => bytes.toString('hex'))).size, 100)
    } finally {
      await Promise.all(tpms.map((tpm) => tpm.close()))
    }
    assert.deepEqual(children(), [])
  })

  it('makes a TPM 1.2', async () => {
    await using tpm = await createTpm({ version: '1.2' })
    const busy = tpm.fault('GetRandom: rc=RETRY')
    const response = await tpm.send(TPM12.getRandom())
    assert.equal(response.code, 0x800)
    assert.equal(response.bytes.readUInt16BE(0), 0x00c4)
    busy[Symbol.dispose]()
    assert.equal((await tpm.send(TPM12.getRandom())).text, 'SUCCESS')
  })

  it('keeps a state that is given a directory', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'swtpm-test-'))
    t.after(() => rm(folder, { recursive: true }))
    const state = join(folder, 'tpm')
    const key = async (): Promise<string> => {
      await using tpm = await createTpm({ state })
      return (await tpm.send(TPM2.createPrimaryEcc)).bytes.toString('hex', 0, 200)
    }
    assert.equal(await key(), await key())
  })

  it('makes the same TPM from the same seed', async () => {
    const seen = async (seedInsecure: number): Promise<string> => {
      await using tpm = await createTpm({ seedInsecure })
      const answers = [await tpm.send(GET_RANDOM_8), await tpm.send(TPM2.createPrimaryEcc)]
      return answers.map(({ bytes }) => bytes.toString('hex')).join(' ')
    }
    const first = await seen(1)
    assert.equal(await seen(1), first)
    assert.notEqual(await seen(2), first)
  })

  it('puts responders before a TPM on a socket', async () => {
    await using behind = await createTpm()
    await using socket = await behind.expose(unixSocket())
    await using tpm = await createTpm({ behind: connection({ path: socket.path }) })
    assert.equal((await tpm.send(GET_RANDOM_8)).text, 'SUCCESS')
    assert.equal(behind.count('GetRandom'), 1)
    using _busy = tpm.fault('GetRandom: rc=RETRY')
    assert.equal((await tpm.send(GET_RANDOM_8)).text, 'RETRY')
    assert.equal(behind.count('GetRandom'), 1)
  })

  it('makes a TPM in another state, or with certificates', async () => {
    await using lockedOut = await createTpm({ mode: 'failure' })
    assert.equal((await lockedOut.send(GET_RANDOM_8)).text, 'FAILURE')
    await using certified = await createTpm({ certificates: true })
    assert.ok((await certified.handles('nv')).length >= 1)
  })

  it('says which option is wrong', async () => {
    const wrong: [object, RegExp][] = [
      [{ version: '3' }, /Cannot use "3" as version; it takes "2" or "1\.2"/],
      [{ startup: 'now' }, /Cannot use "now" as startup; it takes "clear" or/],
      [{ state: '/nonexistent/tpm' }, /Cannot make state directory "\/nonexistent\/tpm": no such file/],
      [{ vers: '2' }, /Cannot use option "vers" of createTpm\(\); its options are version, state,/],
      [{ seedInsecure: 'x' }, /Cannot use "x" as seedInsecure; it takes a number from 0 to 4294967295/],
      [{ faults: 'GetRandom: rc=RETRY' }, /as faults; it takes an array of strings/],
      [{ behind: 'device:/dev/tpm0' }, /Cannot use "device:\/dev\/tpm0" as behind; it takes what device\(\)/],
    ]
    for (const [options, message] of wrong) await assert.rejects(createTpm(options), { message })
    assert.deepEqual(children(), [])
  })

  it('says which argument is wrong, when it is given and not when it is needed', async () => {
    await using tpm = await createTpm()
    const nothing = undefined as never
    assert.throws(
      () => tpm.on('GetRandom', nothing),
      /Cannot use undefined as responder; it takes a function/,
    )
    await assert.rejects(
      tpm.expose('unix' as never),
      /Cannot use "unix" as place of a TPM; it takes unixSocket/,
    )
    await assert.rejects(tpm.powerOff('now' as never), /it takes "orderly" or "cut"/)
    await assert.rejects(tpm.powerOn('now' as never), /it takes "clear" or "state" or "none"/)
    assert.equal((await tpm.send(GET_RANDOM_8)).text, 'SUCCESS')
  })
})

describe('responders', () => {
  it('are asked newest first, and can be taken away', async () => {
    await using tpm = await createTpm()
    const seen: string[] = []
    const below = tpm.on('GetRandom', (_, next) => {
      seen.push('below')
      return next()
    })
    const above = tpm.on('*', () => {
      seen.push('above')
    })
    await tpm.send(GET_RANDOM_8)
    above[Symbol.dispose]()
    await tpm.send(GET_RANDOM_8)
    below[Symbol.dispose]()
    await tpm.send(GET_RANDOM_8)
    assert.deepEqual(seen, ['above', 'below', 'below'])
  })

  it('alter commands and responses', async () => {
    await using tpm = await createTpm()
    tpm.on('GetRandom', (exchange, next) => next(exchange.with(set('bytesRequested', 4))))
    assert.equal(((await tpm.send(GET_RANDOM_8)).parameters.randomBytes as Buffer).length, 4)
    tpm.on('GetRandom', async (_, next) => (await next()).with(set('randomBytes.size', '+60'), truncate(14)))
    const { bytes } = await tpm.send(GET_RANDOM_8)
    assert.equal(bytes.length, 14)
    assert.equal(bytes.readUInt16BE(10), 64)
  })

  it('answer with bytes, a code, a response or an effect', async () => {
    await using tpm = await createTpm()
    const answers = [Buffer.from('abc'), 0x922, rc('YIELDED'), undefined]
    const texts: string[] = []
    for (const answer of answers) {
      using _responder = tpm.on('GetRandom', () => answer)
      texts.push((await tpm.send(GET_RANDOM_8)).text)
    }
    assert.deepEqual(texts, ['no response', 'RETRY', 'YIELDED', 'SUCCESS'])
  })

  it('that throw are answered FAILURE', async (t) => {
    const written: string[] = []
    t.mock.method(fs, 'writeSync', (_: number, text: string | Uint8Array) => {
      written.push(String(text))
      return text.length
    })
    await using tpm = await createTpm()
    tpm.on('GetRandom', () => {
      throw new Error('a mistake of the test')
    })
    assert.equal((await tpm.send(GET_RANDOM_8)).code, RC.FAILURE)
    assert.match(written.join(''), /GetRandom.*a mistake of the test[\s\S]*library\.test/)
  })

  it('see name, handles, sessions and parameters', async () => {
    await using tpm = await createTpm()
    const seen = tpm.next('CreatePrimary')
    await tpm.send(TPM2.createPrimaryEcc)
    const exchange: Exchange = await seen
    assert.equal(exchange.name, 'CreatePrimary')
    assert.equal(exchange.nth, 1)
    assert.equal(exchange.handles.length, 1)
    assert.equal(exchange.sessions[0]?.kind, 'pw')
    assert.ok('inPublic' in exchange.parameters)
    const response = await exchange.response
    assert.ok(response instanceof Response)
    assert.equal(response.text, 'SUCCESS')
  })

  it('point at the mistake in a when', async () => {
    await using tpm = await createTpm()
    assert.throws(
      () => tpm.on('GetRandm', rc('RETRY')),
      (error) =>
        error instanceof RuleError && error.column === 1 && /did you mean GetRandom\?/.test(error.message),
    )
  })
})

describe('what is seen', () => {
  it('is logged, counted and waited for', async () => {
    await using tpm = await createTpm()
    await tpm.send(GET_RANDOM_8)
    await tpm.send(GET_RANDOM_8)
    assert.equal(tpm.count('GetRandom'), 2)
    assert.equal(tpm.count('GetRandom#2'), 1)
    assert.deepEqual(
      tpm.log.map(({ name }) => name),
      ['GetRandom', 'GetRandom'],
    )
    const waited = tpm.next('PCR_Read', { timeoutMs: 50 })
    await tpm.send(GET_RANDOM_8)
    await assert.rejects(waited, /No "PCR_Read" within 50 ms; there came GetRandom \(no\. 3\)/)
  })

  it('says of a fault what it struck', async () => {
    await using tpm = await createTpm()
    using fault = tpm.fault('GetRandom#2: rc=RETRY')
    const struck = fault.next()
    await tpm.send(GET_RANDOM_8)
    assert.equal(fault.struck, 0)
    await tpm.send(GET_RANDOM_8)
    assert.equal((await struck).nth, 2)
    assert.equal(fault.struck, 1)
    assert.equal(fault.text, 'GetRandom#2: rc=RETRY')
  })
})

describe('send', () => {
  it('fails where there is no response', async () => {
    await using tpm = await createTpm()
    tpm.on('GetRandom', mute())
    await assert.rejects(tpm.send(GET_RANDOM_8), { code: 'SWTPM_ERR_NO_RESPONSE' })
  })

  it('ends with its signal', async () => {
    await using tpm = await createTpm()
    tpm.on('GetRandom', delay(60_000))
    const abort = new AbortController()
    const seen = tpm.next('GetRandom')
    const sent = tpm.send(GET_RANDOM_8, { signal: abort.signal })
    await seen
    abort.abort(new Error('enough'))
    await assert.rejects(sent, /enough/)
  })
})

describe('close', () => {
  it('ends what is under way, and says so', async () => {
    const tpm = await createTpm()
    tpm.on('*', stall())
    const fault = tpm.fault('PCR_Read: drop')
    const work = [
      tpm.send(GET_RANDOM_8),
      tpm.next('PCR_Read'),
      fault.next(),
      tpm.expose(unixSocket()),
      // Only one at a time.
      assert.rejects(tpm.expose(unixSocket()), /is about to have a device/),
    ]
    const ends = Promise.allSettled(work)
    await Promise.all([tpm.close(), tpm.close()])
    const reasons = (await ends).map((end) => (end.status === 'rejected' ? end.reason.message : 'done'))
    const closed = 'The TPM was closed'
    assert.deepEqual(reasons, [closed, closed, 'fault 1 "PCR_Read: drop" was removed', closed, 'done'])
    for (const after of [tpm.send(GET_RANDOM_8), tpm.next('*'), tpm.expose(unixSocket())])
      await assert.rejects(after, { message: closed })
  })
})

describe('mistakes of a program', () => {
  it('are said at once', async () => {
    await using tpm = await createTpm()
    assert.throws(() => tpm.on(undefined as never, () => 0), TypeError)
    assert.throws(() => tpm.on('*', undefined as never), TypeError)
    assert.throws(() => pieces(0), RangeError)
    await assert.rejects(tpm.send(GET_RANDOM_8, { locality: -1 }), RangeError)
  })

  it('in a function that is waited by are told to who waits, and commands go on', async () => {
    await using tpm = await createTpm()
    const wrong = tpm.next(() => assert.fail('wrong'))
    const told = assert.rejects(wrong, /wrong/)
    assert.equal((await tpm.send(GET_RANDOM_8)).text, 'SUCCESS')
    await told
  })
})

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

describe('a program that is killed', () => {
  it('takes the engines of its TPMs with it', async (t) => {
    const program = `
      const { createTpm, unixSocket } = require(${JSON.stringify(join(projectRoot, 'dist/index.js'))})
      ;(async () => {
        const tpms = [await createTpm(), await createTpm()]
        await tpms[0].expose(unixSocket())
        console.log('ready')
      })()`
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.after(() => child.kill('SIGKILL'))
    const [ready] = await once(child.stdout, 'data')
    assert.match(String(ready), /ready/)
    const engines = descendantsOf(child.pid as number)
    // What starts them, and one for each.
    assert.equal(engines.length, 3)
    child.kill('SIGKILL')
    await waitFor(() => engines.every((pid) => !fs.existsSync(`/proc/${pid}`)), {
      what: 'the end of engines',
    })
  })
})

function descendantsOf(pid: number): number[] {
  const own = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parent(name) === pid)
  return own.flatMap((name) => [Number(name), ...descendantsOf(Number(name))])
}

/** Undefined for a process that has ended. */
function parent(pid: string): number | undefined {
  try {
    return parentOf(pid)
  } catch {
    return undefined
  }
}
