/** What the kernel's driver and its resource manager make of a TPM that fails while it is in use. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { createTpm, type Device, type DeviceFile, type Tpm, vtpmProxy } from '../../src/library/index.ts'
import { TpmFile } from '../../src/programs/swtpm/ktest/suite/tpm-file.ts'
import { rc } from '../../src/responders/effects/every-effect.ts'
import type { Exchange } from '../../src/responders/exchange.ts'
import { errorOf, GET_RANDOM, LogMark, numberOf, onKernel, startBench } from '../support/driver-bench.ts'
import { startProxyTpm } from '../support/proxy-tpm.ts'
import { PYTHON } from '../support/python.ts'
import { TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const RANDOM = 'GetRandom[bytesRequested=8]'
const READ_CLOCK = '80010000000a00000181'
const GET_PROPERTIES = '8001000000160000017a000000060000010000000001'

let tpm: Tpm
let device: Device

before(async () => {
  ;({ tpm, device } = await startBench())
})
after(() => tpm.close())

const works = async (): Promise<void> => {
  const { text } = await device.exchange(GET_RANDOM)
  assert.equal(text, 'SUCCESS')
}

describe('/dev/tpmN', () => {
  it('is late within the limit: nothing happens', async () => {
    const log = new LogMark()
    using late = tpm.fault(`${RANDOM}: delay=500ms`)
    await works()
    assert.equal(late.struck, 1)
    assert.deepEqual(log.lines(), [])
  })

  for (const [rule, command] of [
    ['GetCapability[capability=TPM_PROPERTIES]: delay=5s', GET_PROPERTIES],
    [`${RANDOM}: drop`, GET_RANDOM],
  ] as const) {
    it(`${rule}: ETIME, and the next command works`, async () => {
      const log = new LogMark()
      using fault = tpm.fault(rule)
      assert.equal(await errorOf(device, command), 'ETIME')
      assert.equal(fault.struck, 1)
      log.has(/Operation Timed out/)
      fault[Symbol.dispose]()
      await works()
    })
  }

  it('RETRY twice: the driver asks a third time', async () => {
    using fault = tpm.fault(`${RANDOM}#1-2: rc=RETRY`)
    const before = tpm.count(RANDOM)
    await works()
    assert.deepEqual([fault.struck, tpm.count(RANDOM) - before], [2, 3])
  })

  for (const [code, line] of [
    ['RETRY', /in retry loop/],
    ['TESTING', /self test is still running/],
  ] as const) {
    it(`${code} for ever: the client gets it after eight attempts`, async () => {
      const log = new LogMark()
      using fault = tpm.fault(`${RANDOM}: rc=${code}`)
      assert.equal(await errorOf(device, GET_RANDOM), `answered ${code}`)
      assert.equal(fault.struck, 8)
      log.has(line)
    })
  }

  it('YIELDED: is not asked again', async () => {
    using fault = tpm.fault(`${RANDOM}: rc=YIELDED`)
    assert.equal(await errorOf(device, GET_RANDOM), 'answered YIELDED')
    assert.equal(fault.struck, 1)
  })

  for (const effect of ['truncate=9', 'truncate=12', 'append=10', 'size=+1']) {
    it(`${effect}: EFAULT, and the log says nothing`, async () => {
      const log = new LogMark()
      using fault = tpm.fault(`${RANDOM}: ${effect}`)
      assert.equal(await errorOf(device, GET_RANDOM), 'EFAULT')
      assert.equal(fault.struck, 1)
      assert.deepEqual(log.lines(), [])
    })
  }

  it('5000 bytes: the driver takes no response, and times out', async () => {
    const log = new LogMark()
    using fault = tpm.fault(`${RANDOM}: append=4980`)
    assert.equal(await errorOf(device, GET_RANDOM), 'ETIME')
    assert.equal(fault.struck, 1)
    log.has(/Operation Timed out/)
    fault[Symbol.dispose]()
    await works()
  })

  it('a client that is killed goes when its command is answered, and not before', async () => {
    let answer = (): void => {}
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    using _ = tpm.on('ReadClock', async (_exchange, next) => {
      await answered
      return next()
    })
    const came = tpm.next('ReadClock', { timeoutMs: 60_000 })
    const client = spawn(PYTHON, ['-c', CLIENT, device.path, READ_CLOCK], { stdio: 'ignore' })
    const ended = once(client, 'exit')
    await came
    client.kill('SIGKILL')
    await waitFor(() => hasKillPending(client.pid) && stateOf(client.pid) === 'D', {
      what: 'the client has been killed, and still sleeps in the driver',
    })
    answer()
    assert.deepEqual(await ended, [null, 'SIGKILL'])
    await works()
  })
})

/** Writes a command into a device. */
const CLIENT = `
import os, sys
os.write(os.open(sys.argv[1], os.O_RDWR), bytes.fromhex(sys.argv[2]))
`

const statusOf = (pid: number | undefined, name: string): string =>
  new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? ''
const stateOf = (pid: number | undefined): string => statusOf(pid, 'State')
const SIGKILL_BIT = 1n << 8n
const hasKillPending = (pid: number | undefined): boolean =>
  ['SigPnd', 'ShdPnd'].some((name) => (BigInt(`0x${statusOf(pid, name)}`) & SIGKILL_BIT) !== 0n)

describe('/dev/hwrng', () => {
  before(() => writeFileSync('/sys/class/misc/hw_random/rng_current', `tpm-rng-${numberOf(device)}`))

  /** The generator's own thread asks for as much as a reader, now and then. */
  const HWRNG = 'GetRandom[bytesRequested=64]'

  for (const [effect, errno, attempts, line] of [
    ['rc=FAILURE', 'EIO', 1, /A TPM error \(257\) occurred attempting get random/],
    ['respond=80010000001000000000004001020304', 'EFAULT', 1, undefined],
    ['respond=80010000000c000000000000', 'EIO', 6, undefined],
    ['rc=RETRY', 'EIO', 8, /A TPM error \(2338\) occurred attempting get random/],
  ] as const) {
    it(`${effect}: ${errno}`, async () => {
      const log = new LogMark()
      using fault = tpm.fault(`${HWRNG}: ${effect}`)
      assert.equal(await readRandom(64), errno)
      assert.ok(fault.struck >= attempts, `${fault.struck} attempts`)
      if (line !== undefined) log.has(line)
    })
  }

  it('1 byte for each GetRandom: is asked until there are enough', async () => {
    using fault = tpm.fault('GetRandom: set=command.bytesRequested:1')
    assert.equal(await readRandom(64), 64)
    assert.ok(fault.struck >= 64, `${fault.struck} commands`)
  })
})

/** By a process of its own: this one answers the driver. @returns the number of bytes, or the name of the error */
async function readRandom(bytes: number): Promise<string | number> {
  const child = spawn(PYTHON, ['-c', READER, String(bytes)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk) => {
    said += chunk
  })
  await once(child, 'close')
  return /^\d+$/.test(said.trim()) ? Number(said) : said.trim()
}
const READER = `
import errno, os, sys
try:
    print(len(os.read(os.open('/dev/hwrng', os.O_RDONLY), int(sys.argv[1]))))
except OSError as error:
    print(errno.errorcode[error.errno])
`

describe('/dev/tpmrmN', () => {
  const savesSession = ({ name, handles: [handle = 0] }: Exchange): boolean =>
    name === 'ContextSave' && [2, 3].includes(handle >>> 24)

  async function space(): Promise<DeviceFile & { readonly key: number }> {
    const file = await device.openResourceManager()
    const made = await file.exchange(TPM2.createPrimaryEcc)
    assert.equal(made.text, 'SUCCESS')
    return { ...file, key: made.bytes.readUInt32BE(10) }
  }
  const startSession = async (file: DeviceFile): Promise<void> =>
    assert.equal((await file.exchange(TPM2.startPolicySession)).text, 'SUCCESS')

  for (const [code, errno] of [
    ['HANDLE', 'ENOENT'],
    ['REFERENCE_H0', 'ENOENT'],
    ['INTEGRITY', onKernel({ '6.1': 'EFAULT', '6.12': 'EINVAL' })],
    ['OBJECT_MEMORY', 'EFAULT'],
    ['RETRY', 'EFAULT'],
  ] as const) {
    it(`ContextLoad: ${code}: ${errno}, and the next command works`, async () => {
      const file = await space()
      const fault = tpm.fault(`ContextLoad: rc=${code}`)
      const seen = await errorOf(file, GET_RANDOM)
      assert.deepEqual([seen, fault.struck], [errno, code === 'RETRY' ? 8 : 1])
      fault[Symbol.dispose]()
      assert.equal(await errorOf(file, GET_RANDOM), 'answered SUCCESS')
      await file.close()
      assert.deepEqual(await tpm.handles('transient'), [])
    })
  }

  it('FlushContext: RETRY once: it is asked again', async () => {
    const file = await space()
    using fault = tpm.fault('FlushContext#1: rc=RETRY')
    const before = tpm.count('FlushContext')
    assert.equal(await errorOf(file, GET_RANDOM), 'answered SUCCESS')
    assert.deepEqual([fault.struck, tpm.count('FlushContext') - before], [1, 2])
    await file.close()
    assert.deepEqual(await tpm.handles('transient'), [])
  })

  it('a list of handles with a wrong count: EFAULT, and the next command works', async () => {
    const file = await space()
    const log = new LogMark()
    const fault = tpm.fault('GetCapability[capability=HANDLES]: set=data.count:9')
    assert.equal(await errorOf(file, TPM2.getHandles(0x80000000)), 'EFAULT')
    fault[Symbol.dispose]()
    log.has(/tpm2_commit_space: error -14/)
    assert.equal(await errorOf(file, GET_RANDOM), 'answered SUCCESS')
    await file.close()
  })

  it('ContextSave of a session: CONTEXT_GAP: EFAULT for whatever is asked, and the sessions are flushed', async () => {
    const file = await space()
    await startSession(file)
    const log = new LogMark()
    const gap = tpm.on(savesSession, rc('CONTEXT_GAP'))
    assert.equal(await errorOf(file, GET_RANDOM), 'EFAULT')
    gap[Symbol.dispose]()
    log.has(/tpm2_save_context: failed with a TPM error 0x0901/)
    log.has(/A TPM error \(459\) occurred flushing context/)
    assert.deepEqual([await tpm.handles('session'), await tpm.handles('savedSession')], [[], []])
    // The key: the older kernel has lost it.
    const key = onKernel({ '6.1': 'EFAULT', '6.12': 'answered SUCCESS' })
    assert.equal(await errorOf(file, TPM2.readPublic(file.key)), key)
    await file.close()
  })

  it('close() waits for a TPM that does not let go of a session', async () => {
    const file = await device.openResourceManager()
    await startSession(file)
    using fault = tpm.fault('FlushContext: rc=RETRY')
    await file.close()
    assert.equal(fault.struck, 8)
  })
})

describe('a TPM that is unplugged while a client waits', () => {
  it('who does not block: reads ECANCELED', async () => {
    await device.close()
    const other = await createTpm()
    const plugged = await other.expose(vtpmProxy())
    const log = new LogMark()
    const file = new TpmFile(plugged.path, true)
    other.fault('ReadClock: unplug')
    assert.equal(file.write(READ_CLOCK), undefined)
    await waitFor(() => log.lines().some((text) => /Operation Canceled/.test(text)), {
      what: 'the driver gives up',
    })
    assert.equal(file.read(), 'ECANCELED')
    file.close()
    await other.close()
  })

  it('swtpm chardev --fault: gets ECANCELED, and swtpm ends', async (t) => {
    const { path, swtpm } = await startProxyTpm(t, ['--tpm2', '--fault', 'ReadClock: unplug'])
    const file = new TpmFile(path)
    assert.equal(file.exchange(READ_CLOCK), 'ECANCELED')
    file.close()
    assert.equal(await swtpm.exited, 0, swtpm.stderr)
  })
})
