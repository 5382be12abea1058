/** The channel to one engine, between two supervisors. */
import assert from 'node:assert/strict'
import { closeSync, fstatSync } from 'node:fs'
import { test } from 'node:test'
import { EngineLink } from '../../../src/engine-client/channel/engine-link.ts'
import { check } from '../../../src/system/native/check.ts'
import { native } from '../../../src/system/native/load.ts'
import { waitFor } from '../../support/wait.ts'

function isOpen(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket()
  } catch {
    return false
  }
}

test('a channel that has closed is left to no other supervisor, also before its engine is known to have ended', async () => {
  const [ours, theirs] = check(native.socketPair(), 'make a channel')
  const spawned = { pid: Promise.resolve(1), ended: new Promise<string>(() => {}), kill() {} }
  const saved = { pid: 1, nextId: 7, build: 3 }
  const gone = new Promise<void>(() => {})
  const link = EngineLink.resume({ gone }, ours, spawned, saved, { event() {}, ended() {} })
  assert.deepEqual(link.save(), saved)
  closeSync(theirs)
  await waitFor(() => !isOpen(ours), { what: 'the channel to close' })
  assert.equal(link.save(), undefined)
})
