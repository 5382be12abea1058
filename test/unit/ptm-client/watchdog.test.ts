import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { Watchdog } from '../../../src/ptm-client/watchdog.ts'

// A watchdog ends its process, so it is watched in one of its own: this file again, with a task to do.
const task = process.env.SWTPM_TEST_WATCHDOG_FIFO
if (task === undefined) describe('Watchdog.guard()', tests)
else {
  const watchdog = new Watchdog()
  watchdog.guard(50, 'not printed', () => 'in time')
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
  process.stdout.write('still here\n')
  const fd = openSync(task, constants.O_RDWR)
  watchdog.guard(100, 'Could not read from the pipe', () => readSync(fd, Buffer.alloc(1)))
}

function tests(): void {
  it('ends a process whose call does not return, with a message, and no other', (t: TestContext) => {
    const directory = mkdtempSync(join(tmpdir(), 'swtpm-test-'))
    t.after(() => rmSync(directory, { recursive: true, force: true }))
    const fifo = join(directory, 'pipe')
    execFileSync('mkfifo', [fifo])
    const env: NodeJS.ProcessEnv = { ...process.env, SWTPM_TEST_WATCHDOG_FIFO: fifo }
    delete env.NODE_TEST_CONTEXT
    const { signal, stdout, stderr } = spawnSync(process.execPath, [__filename], {
      env,
      timeout: 20_000,
      encoding: 'utf8',
    })
    assert.deepEqual(
      { signal, stdout, stderr },
      { signal: 'SIGALRM', stdout: 'still here\n', stderr: 'Could not read from the pipe\n' },
    )
  })
}
