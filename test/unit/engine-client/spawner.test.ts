import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { closeSync, existsSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { encodeFrame, FRAME_KIND, FrameDecoder, SPAWN_FLAG } from '../../../contract/engine-channel.ts'
import { killReq, SPAWNER_REQUESTS, spawnReq } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'
import { enginePath } from '../../../src/engine-client/channel/engine-program.ts'
import { Spawner } from '../../../src/engine-client/channel/spawner.ts'
import { DescriptorSocket } from '../../../src/system/io/descriptor-socket.ts'
import { check } from '../../../src/system/native/check.ts'
import { native } from '../../../src/system/native/load.ts'
import { temporaryDirectory } from '../../support/swtpm.ts'
import { waitFor } from '../../support/wait.ts'

/** A spawner for engines with a filter, and how it answers requests, which are u32 each. */
function startSpawner(t: TestContext) {
  const [ours, theirs] = check(native.socketPair(), 'make a socket pair')
  const process = spawn(enginePath(), ['--spawner', enginePath(), '--seccomp', 'kill'], {
    stdio: ['ignore', 'ignore', 'ignore', theirs],
  })
  closeSync(theirs)
  const socket = new DescriptorSocket(ours)
  t.after(() => socket.close())
  const decoder = new FrameDecoder()
  const waiting: ((body: Buffer) => void)[] = []
  socket.on('data', (chunk) => {
    for (const { kind, body } of decoder.push(chunk)) if (kind === FRAME_KIND.reply) waiting.shift()?.(body)
  })
  const ask = (code: number, body: Buffer): Promise<number> => {
    socket.write(encodeFrame(FRAME_KIND.request, 1, code, body))
    return new Promise((resolve) => waiting.push((reply) => resolve(reply.readUInt32BE())))
  }
  const close = (): Promise<number> => {
    socket.close()
    return new Promise((resolve) => process.once('exit', resolve))
  }
  return { ask, close }
}

it('the spawner kills no process that is not its child', async (t) => {
  const { ask, close } = startSpawner(t)
  const other = spawn('sleep', ['600'])
  t.after(() => other.kill('SIGKILL'))
  // Another's child, the one that asks, and no process at all.
  for (const pid of [other.pid as number, process.pid, 0])
    assert.equal(await ask(SPAWNER_REQUESTS.KILL.code, killReq.encode({ pid }, BIG)), constants.errno.ESRCH)
  assert.equal(other.exitCode ?? other.signalCode, null)
  assert.equal(await close(), 0)
})

it('the spawner starts no other program, and no engine with less of a filter', async (t) => {
  const { ask, close } = startSpawner(t)
  const file = join(temporaryDirectory(t), 'file')
  const { EINVAL, EPERM } = constants.errno
  for (const [errno, ...args] of [
    [EINVAL, '/bin/sh', '-c', `echo > ${file}`],
    [EINVAL, '--tpm', '2', '/bin/sh'],
    [EINVAL, '--print-info', '1'],
    [EINVAL],
    [EPERM, '--tpm', '2', '--seccomp', 'none'],
    [EPERM, '--tpm', '2', '--seccomp', 'log'],
  ] as const) {
    const words = Buffer.from(args.map((word) => `${word}\0`).join(''))
    for (const flags of [0, SPAWN_FLAG.fresh])
      assert.equal(await ask(SPAWNER_REQUESTS.SPAWN.code, spawnReq.encode({ flags, words }, BIG)), errno)
  }
  assert.equal(await close(), 0)
  assert.equal(existsSync(file), false)
})

/** Ours, of a program whose lines these are; `$@` are the spawner's arguments, 3 is the channel. */
function spawnerOf(t: TestContext, lines: readonly string[]): Spawner {
  const program = join(temporaryDirectory(t), 'spawner')
  writeFileSync(program, ['#!/bin/sh', ...lines].join('\n'), { mode: 0o755 })
  const before = process.env.SWTPM_ENGINE
  process.env.SWTPM_ENGINE = program
  try {
    return new Spawner({ logFd: undefined, user: undefined, seccomp: 'none' })
  } finally {
    if (before === undefined) delete process.env.SWTPM_ENGINE
    else process.env.SWTPM_ENGINE = before
  }
}

it('to close the spawner is to wait for its end', async (t) => {
  const file = join(temporaryDirectory(t), 'ended')
  const spawner = spawnerOf(t, ['cat <&3', `sh -c 'echo > ${file}'`])
  await spawner.close()
  assert.ok(existsSync(file))
})

it('a spawner that does not end is killed', async (t) => {
  const directory = temporaryDirectory(t)
  const [ready, never] = [join(directory, 'ready'), join(directory, 'never')]
  execFileSync('mkfifo', [never])
  const spawner = spawnerOf(t, [`echo > ${ready}`, `exec cat ${never}`])
  await waitFor(() => existsSync(ready), { what: 'the spawner' })
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const closed = spawner.close()
  t.mock.timers.tick(11_000)
  // When its process has ended.
  await closed
})
