import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { it } from 'node:test'
import { encodeFrame, FRAME_KIND, FrameDecoder } from '../../../contract/engine-channel.ts'
import { killReq, SPAWNER_REQUESTS, word } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'
import { enginePath } from '../../../src/engine-client/channel/engine-program.ts'
import { DescriptorSocket } from '../../../src/system/io/descriptor-socket.ts'
import { check } from '../../../src/system/native/check.ts'
import { native } from '../../../src/system/native/load.ts'

it('the spawner kills no process that is not its child', async (t) => {
  const [ours, theirs] = check(native.socketPair(), 'make a socket pair')
  const spawner: ChildProcess = spawn(enginePath(), ['--spawner'], {
    stdio: ['ignore', 'ignore', 'inherit', theirs],
  })
  closeSync(theirs)
  const socket = new DescriptorSocket(ours)
  t.after(() => socket.close())
  const other = spawn('sleep', ['600'])
  t.after(() => other.kill('SIGKILL'))
  const decoder = new FrameDecoder()
  const answers: number[] = []
  const answered = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      for (const { body } of decoder.push(chunk)) answers.push(word.decode(body, BIG).value)
      if (answers.length >= 3) resolve()
    })
  })
  // Another's child, the one that asks, and no process at all.
  for (const [id, pid] of [other.pid as number, process.pid, 0].entries()) {
    const body = killReq.encode({ pid }, BIG)
    socket.write(encodeFrame(FRAME_KIND.request, id + 1, SPAWNER_REQUESTS.KILL.code, body))
  }
  await answered
  assert.deepEqual(answers, [constants.errno.ESRCH, constants.errno.ESRCH, constants.errno.ESRCH])
  assert.equal(other.exitCode ?? other.signalCode, null)
  const ended = new Promise((resolve) => spawner.once('exit', resolve))
  socket.close()
  assert.equal(await ended, 0)
})
