import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { StorageLock } from '../../../../src/tpm/state/storage-lock.ts'
import { PYTHON } from '../../../support/python.ts'
import { temporaryDirectory } from '../../../support/swtpm.ts'

function lockedDirectory(t: TestContext): { readonly lock: StorageLock; readonly path: string } {
  const path = temporaryDirectory(t)
  const fd = openSync(path, 'r')
  t.after(() => closeSync(fd))
  const lock = StorageLock.ofDirectory(path, fd)
  t.after(() => lock.unlock())
  return { lock, path }
}

const openLocks = (path: string): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === join(path, '.lock')
    } catch {
      return false
    }
  }).length

/** Another process that holds the lock until it is told to let go. */
async function holder(
  t: TestContext,
  path: string,
): Promise<{ readonly pid: number; letGo(): Promise<void> }> {
  const script = `
import fcntl, sys
file = open(sys.argv[1], 'w')
fcntl.lockf(file, fcntl.LOCK_EX)
print('locked', flush=True)
sys.stdin.read()`
  const child = spawn(PYTHON, ['-c', script, join(path, '.lock')], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()))
  t.after(() => child.kill('SIGKILL'))
  await new Promise((resolve) => child.stdout.once('data', resolve))
  return {
    pid: child.pid!,
    async letGo() {
      child.stdin.end()
      await exited
    },
  }
}

test('two who lock at once share one descriptor', async (t) => {
  const { lock, path } = lockedDirectory(t)
  await Promise.all([lock.lock(3), lock.lock(3)])
  assert.equal(lock.held, true)
  assert.equal(openLocks(path), 1)
  lock.unlock()
  assert.equal(lock.held, false)
  assert.equal(openLocks(path), 0)
})

test('the one who waits less long waits along', async (t) => {
  const { lock, path } = lockedDirectory(t)
  const other = await holder(t, path)
  const both = [lock.lock(6000), lock.lock(0)]
  await other.letGo()
  await Promise.all(both)
  assert.equal(openLocks(path), 1)
})

test('unlocking ends the waiting, and leaves nothing open or locked', async (t) => {
  const { lock, path } = lockedDirectory(t)
  const other = await holder(t, path)
  const waiting = lock.lock(1_000_000)
  lock.unlock()
  await assert.rejects(waiting, { code: 'SWTPM_ERR_ENDED' })
  assert.equal(lock.held, false)
  assert.equal(openLocks(path), 0)
  await assert.rejects(lock.lock(), {
    code: 'SWTPM_ERR_STATE_LOCKED',
    message: new RegExp(`process ${other.pid}$`),
  })
  await other.letGo()
  await lock.lock()
  assert.equal(lock.held, true)
})

test('an attempt that was given up does no harm to the next', async (t) => {
  const { lock, path } = lockedDirectory(t)
  const other = await holder(t, path)
  const givenUp = assert.rejects(lock.lock(1_000_000), { code: 'SWTPM_ERR_ENDED' })
  lock.unlock()
  const next = lock.lock(6000)
  await other.letGo()
  await Promise.all([givenUp, next])
  assert.equal(lock.held, true)
  assert.equal(openLocks(path), 1)
})
