/** TPMs that a program makes: what they are made of, and that nothing of them is left. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { stall } from '../../../src/library/faults.ts'
import { connection, createTpm, RC, tcpSocket, unixSocket } from '../../../src/library/index.ts'
import { childrenOf, descendantsOf } from '../../support/descendants.ts'
import { alive } from '../../support/processes.ts'
import { projectRoot } from '../../support/swtpm.ts'
import { TPM2, TPM12 } from '../../support/tpm-commands.ts'
import { waitFor } from '../../support/wait.ts'

const GET_RANDOM_8 = '80010000000c0000017b0008'

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
    assert.deepEqual(childrenOf(), [])
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
    assert.deepEqual(childrenOf(), [])
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
    assert.deepEqual(childrenOf(), [])
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
    assert.deepEqual(childrenOf(), [])
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
    await waitFor(() => !engines.some(alive), {
      what: 'the end of engines',
    })
  })
})
