import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { native } from '../../../../src/system/native/load.ts'
import { type PollCallback, type Poller, READABLE, WRITABLE } from '../../../../src/system/native/types.ts'
import {
  inOtherProcess,
  isNonBlocking,
  owned,
  receive,
  send,
  socketPair,
  temporaryFolder,
} from './fixtures.ts'

const EPERM = -1
const EBADF = -9
const EEXIST = -17
const EINVAL = -22

type Readiness = Parameters<PollCallback>

/** A poller whose callbacks can be awaited one by one. */
function watch(t: TestContext, fd: number): { poller: Poller; next: () => Promise<Readiness> } {
  const seen: Readiness[] = []
  let wake: ((readiness: Readiness) => void) | undefined
  const poller = new native.Poller(fd, (...readiness) => {
    if (wake === undefined) seen.push(readiness)
    else wake(readiness)
    wake = undefined
  })
  t.after(() => poller.close())
  const next = (): Promise<Readiness> =>
    new Promise((resolve) => {
      const first = seen.shift()
      if (first !== undefined) resolve(first)
      else wake = resolve
    })
  return { poller, next }
}

/** Every event the loop has by now is delivered: two turns, the first of which may have begun polling already. */
const loopTurns = async (): Promise<void> => {
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
}

test('a poller reports that bytes have come', async (t) => {
  const [ours, theirs] = socketPair(t)
  const { poller, next } = watch(t, ours)
  assert.equal(poller.start(READABLE), 0)
  send(theirs, 'hello')
  assert.deepEqual(await next(), [0, true, false])
  assert.equal(receive(ours).text, 'hello')
})

test('a poller reports room to write, and both at once', async (t) => {
  const [ours, theirs] = socketPair(t)
  const { poller, next } = watch(t, ours)
  assert.equal(poller.start(WRITABLE), 0)
  assert.deepEqual(await next(), [0, false, true])
  poller.stop()
  send(theirs, 'hello')
  assert.equal(poller.start(READABLE | WRITABLE), 0)
  assert.deepEqual(await next(), [0, true, true])
})

test('start() replaces the mask', async (t) => {
  const [ours, theirs] = socketPair(t)
  const { poller, next } = watch(t, ours)
  poller.start(WRITABLE)
  poller.start(READABLE)
  send(theirs, 'hello')
  assert.deepEqual(await next(), [0, true, false])
})

test('when the peer closes, the descriptor is readable: end of file', async (t) => {
  const [ours, theirs] = socketPair(t)
  const { poller, next } = watch(t, ours)
  poller.start(READABLE)
  closeSync(theirs)
  assert.deepEqual(await next(), [0, true, false])
  assert.equal(receive(ours).result, 0)
})

test('a reset connection is reported as ready, and what came before can still be received', async (t) => {
  const [ours, theirs] = socketPair(t)
  send(theirs, 'last words')
  send(ours, 'never read')
  closeSync(theirs) // With unread bytes: a reset.
  const { poller, next } = watch(t, ours)
  assert.equal(poller.start(READABLE), 0)
  assert.deepEqual(await next(), [0, true, false])
  assert.equal(receive(ours).text, 'last words')
  assert.deepEqual(await next(), [0, true, false], 'reported until it is closed')
  poller.close()
})

test('promises and nextTick run before the next callback', async (t) => {
  const [a, b] = [socketPair(t), socketPair(t)]
  const order: string[] = []
  let done: () => void = () => {}
  const both = new Promise<void>((resolve) => {
    done = resolve
  })
  for (const [name, [ours]] of [
    ['a', a],
    ['b', b],
  ] as const) {
    const poller = new native.Poller(ours, () => {
      order.push(`${name} called`)
      poller.close()
      process.nextTick(() => order.push(`${name} tick`))
      Promise.resolve().then(() => {
        order.push(`${name} promise`)
        if (order.length === 6) done()
      })
    })
    poller.start(READABLE)
  }
  send(a[1], 'x')
  send(b[1], 'x')
  await both
  const [first, second] = order[0] === 'a called' ? ['a', 'b'] : ['b', 'a']
  const each = ['called', 'tick', 'promise']
  assert.deepEqual(order, [
    ...each.map((what) => `${first} ${what}`),
    ...each.map((what) => `${second} ${what}`),
  ])
})

test('nothing is reported after stop() and after close(), not even what had happened before', async (t) => {
  const [ours, theirs] = socketPair(t)
  let calls = 0
  const poller = new native.Poller(ours, () => calls++)
  poller.start(READABLE)
  send(theirs, 'x')
  assert.equal(poller.stop(), 0)
  await loopTurns()
  assert.equal(calls, 0)
  poller.start(READABLE)
  assert.equal(poller.close(), 0)
  await loopTurns()
  assert.equal(calls, 0)
})

test('one callback may close the poller whose event is next in line', async (t) => {
  const [a, b] = [socketPair(t), socketPair(t)]
  const called: string[] = []
  const pollers: Poller[] = []
  for (const [ours] of [a, b]) {
    pollers.push(
      new native.Poller(ours, () => {
        called.push('called')
        for (const poller of pollers) poller.close()
        closeSync(a[0])
        closeSync(b[0])
      }),
    )
  }
  for (const poller of pollers) poller.start(READABLE)
  send(a[1], 'x')
  send(b[1], 'x')
  await loopTurns()
  assert.deepEqual(called, ['called'])
})

test('close() may be repeated, and nothing starts after it', (t) => {
  const [ours] = socketPair(t)
  const poller = new native.Poller(ours, () => {})
  poller.start(READABLE)
  assert.equal(poller.close(), 0)
  assert.equal(poller.close(), 0)
  assert.equal(poller.stop(), 0)
  assert.equal(poller.start(READABLE), EBADF)
})

test('the number of a closed descriptor can be watched again at once', async (t) => {
  const [ours] = socketPair(t)
  const first = new native.Poller(ours, () => assert.fail('closed'))
  first.start(READABLE)
  first.close()
  closeSync(ours)
  const [again, theirs] = socketPair(t)
  assert.equal(again, ours)
  const { poller, next } = watch(t, again)
  assert.equal(poller.start(READABLE), 0)
  send(theirs, 'x')
  assert.deepEqual(await next(), [0, true, false])
})

test('start() refuses masks and descriptors it cannot use', (t) => {
  const [ours] = socketPair(t)
  const file = owned(t, openSync(join(temporaryFolder(t), 'file'), 'w'))
  const start = (fd: number, mask: number): number => {
    const poller = new native.Poller(fd, () => {})
    const result = poller.start(mask)
    poller.close()
    return result
  }
  assert.equal(start(ours, 0), EINVAL)
  assert.equal(start(ours, 4), EINVAL)
  assert.equal(start(file, READABLE), EPERM)
  assert.equal(start(-1, READABLE), EBADF)
  assert.equal(start(9999, READABLE), EBADF)

  const { poller } = watch(t, ours)
  poller.start(READABLE)
  assert.equal(start(ours, READABLE), EEXIST)
})

test('a poller leaves the descriptor in blocking mode', async (t) => {
  const [ours, theirs] = socketPair(t)
  const { poller, next } = watch(t, theirs)
  poller.start(READABLE)
  assert.ok(!isNonBlocking(theirs))
  send(ours, 'x')
  await next()
  poller.close()
  assert.ok(!isNonBlocking(theirs))
})

test('a started poller keeps the process alive', () => {
  const script = `const [ours, theirs] = native.socketPair()
    const poller = new native.Poller(ours, () => { console.log('"heard"'); poller.close() })
    poller.start(1)
    setTimeout(() => native.sendMessage(theirs, Buffer.from('x'), 0, 1, []), 10)`
  assert.equal(inOtherProcess(script), 'heard')
})

test('an exception in the callback is an uncaught exception', () => {
  const script = `const [ours, theirs] = native.socketPair()
    process.on('uncaughtException', (error) => { console.log(JSON.stringify(error.message)); poller.close() })
    const poller = new native.Poller(ours, () => { throw new Error('from the callback') })
    poller.start(1)
    native.sendMessage(theirs, Buffer.from('x'), 0, 1, [])`
  assert.equal(inOtherProcess(script), 'from the callback')
})

test('a started poller without a reference is not collected, closed ones are', () => {
  const script = `const [ours, theirs] = native.socketPair()
    const started = (() => {
      const poller = new native.Poller(ours, () => {
        for (let i = 0; i < 3; i++) gc()
        console.log(JSON.stringify({ kept: started.deref() !== undefined, left: closed.filter((ref) => ref.deref()).length }))
        poller.close()
      })
      poller.start(1)
      return new WeakRef(poller)
    })()
    const closed = []
    const make = () => {
      const [fd] = native.socketPair()
      const poller = new native.Poller(fd, () => poller)
      poller.start(1)
      poller.close()
      closed.push(new WeakRef(poller))
    }
    for (let i = 0; i < 10; i++) make()
    setImmediate(() => { gc(); setImmediate(() => native.sendMessage(theirs, Buffer.from('x'), 0, 1, [])) })`
  assert.deepEqual(inOtherProcess(script), { kept: true, left: 0 })
})

test('a poller that was never closed, nor started, is collected', () => {
  const script = `let refs = []
    const make = (start) => {
      const poller = new native.Poller(native.socketPair()[0], () => {})
      if (start) { poller.start(1); poller.stop() }
      refs.push(new WeakRef(poller))
    }
    for (let i = 0; i < 10; i++) make(i % 2 === 0)
    setImmediate(() => { gc(); setImmediate(() => {
      gc(); console.log(refs.filter((ref) => ref.deref()).length)
    }) })`
  assert.equal(inOtherProcess(script), 0)
})
