import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { nativeAddonPath } from '../../../../src/system/native/load.ts'
import { inOtherProcess, owned, receive, socketPair } from './fixtures.ts'

/** Loads the addon twice and waits for a byte with the second copy's poller. */
const WORKER = `const { parentPort, workerData } = require('node:worker_threads')
  const first = require(workerData)
  delete require.cache[workerData]
  const second = require(workerData)
  const [ours, theirs] = first.socketPair()
  const poller = new second.Poller(ours, (error, readable) => {
    poller.close()
    parentPort.postMessage({ twice: first !== second, error, readable })
  })
  poller.start(1)
  first.sendMessage(theirs, Buffer.from('x'), 0, 1, [])`

test('workers load the addon, each more than once, beside the main thread', async () => {
  const workers = [1, 2, 3].map(() => new Worker(WORKER, { eval: true, workerData: nativeAddonPath() }))
  const messages = await Promise.all(workers.map((worker) => once(worker, 'message')))
  for (const [message] of messages) assert.deepEqual(message, { twice: true, error: 0, readable: true })
  await Promise.all(workers.map((worker) => worker.terminate()))
})

test('a worker may end with pollers started', async (t) => {
  const [ours, theirs] = socketPair(t)
  const endings = {
    exit: 'process.exit(0)',
    terminate: "parentPort.postMessage('ready'); setInterval(() => {}, 1000)",
    'closing at the end': 'poller.close(); process.exit(0)',
    'its own callback':
      "again = () => process.exit(0); native.sendMessage(theirs, Buffer.from('x'), 0, 1, [])",
  }
  for (const [name, ending] of Object.entries(endings)) {
    const script = `const { parentPort, workerData } = require('node:worker_threads')
      const native = require(workerData)
      let again = () => {}
      const [ours, theirs] = native.socketPair()
      const poller = new native.Poller(ours, () => again())
      poller.start(1)
      new native.Poller(native.socketPair()[0], () => {}).start(3)
      ${ending}`
    const worker = new Worker(script, { eval: true, workerData: nativeAddonPath() })
    const exit = once(worker, 'exit')
    if (name === 'terminate') {
      await once(worker, 'message')
      await worker.terminate()
    }
    await exit
  }
  // This thread's addon is not impressed.
  owned(t, ours)
  owned(t, theirs)
  assert.equal(receive(ours).result, -11)
})

test('the process may end with pollers started', () => {
  const script = `const poller = new native.Poller(native.socketPair()[0], () => {})
    poller.start(1)
    console.log('"leaving"')
    process.exit(0)`
  assert.equal(inOtherProcess(script), 'leaving')
})

test('SWTPM_NATIVE names another addon', (t) => {
  const before = process.env.SWTPM_NATIVE
  t.after(() => {
    if (before === undefined) delete process.env.SWTPM_NATIVE
    else process.env.SWTPM_NATIVE = before
  })
  process.env.SWTPM_NATIVE = '/elsewhere/swtpm_native.node'
  assert.equal(nativeAddonPath(), '/elsewhere/swtpm_native.node')
})
