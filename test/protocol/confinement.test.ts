/** What the supervisor and its TPM give up once they serve, and how a service manager hears that they do. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { PYTHON } from '../support/python.ts'
import { startSocketTpm, temporaryDirectory } from '../support/swtpm.ts'
import { waitFor } from '../support/wait.ts'

const TPM = ['--tpm2', '--flags', 'not-need-init,startup-clear']

/** The seccomp mode of every thread, as proc(5) shows it: 0 none, 2 a filter. */
const seccompModes = (pid: number): number[] => {
  const modes = readdirSync(`/proc/${pid}/task`).map((task) =>
    Number(/^Seccomp:\s*(\d)/m.exec(readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'))?.[1]),
  )
  return [...new Set(modes)]
}

describe('--seccomp', () => {
  const ownMode = seccompModes(process.pid)
  for (const [option, mode] of [
    [[], 2],
    [['--seccomp', 'action=kill'], 2],
    [['--seccomp', 'action=log'], 2],
    [['--seccomp', 'action=none'], ownMode[0]],
  ] as const) {
    it(`${option.join(' ') || 'without the option'}: mode ${mode}`, async (t) => {
      const { swtpm, readyPath } = await startNotifying(t, [...TPM, ...option])
      await waitFor(() => readFileSync(readyPath, 'utf8') !== '', { what: 'READY=1' })
      assert.deepEqual(seccompModes(swtpm.pid), [mode])
      assert.equal(await swtpm.stop(), 0)
    })
  }
})

describe('NOTIFY_SOCKET', () => {
  for (const kind of ['path', 'abstract'] as const) {
    it(`a ${kind} name: READY=1 when the TPM serves, STOPPING=1 at the end`, async (t) => {
      const { swtpm, readyPath } = await startNotifying(t, TPM, kind)
      const said = (): string => readFileSync(readyPath, 'utf8')
      await waitFor(() => said() !== '', { what: 'READY=1' })
      assert.equal(said(), 'READY=1\n')
      assert.equal(await swtpm.stop(), 0)
      await waitFor(() => said().includes('STOPPING'), { what: 'STOPPING=1' })
      assert.equal(said(), 'READY=1\nSTOPPING=1\n')
    })
  }

  it('no listener: the TPM serves all the same, and says so', async (t) => {
    const { swtpm } = await startSocketTpm(t, TPM, { env: { NOTIFY_SOCKET: '/nonexistent/notify' } })
    assert.match(swtpm.stderr, /Cannot reach the service manager at NOTIFY_SOCKET "\/nonexistent\/notify"/)
    assert.equal(await swtpm.stop(), 0)
  })
})

/** Starts a TPM with a stand-in for a service manager, which writes every message on a line of `readyPath`. */
async function startNotifying(t: TestContext, args: readonly string[], kind: 'path' | 'abstract' = 'path') {
  const folder = temporaryDirectory(t)
  const readyPath = join(folder, 'said')
  const name = kind === 'path' ? join(folder, 'notify') : `@swtpm-test-${process.pid}`
  const script = `
import socket, sys
name, said = sys.argv[1], open(sys.argv[2], 'w')
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind('\\0' + name[1:] if name[0] == '@' else name)
print('bound', flush=True)
while True:
    print(receiver.recv(4096).decode(), file=said, flush=True)
`
  const receiver = spawn(PYTHON, ['-c', script, name, readyPath], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => receiver.kill())
  await new Promise((resolve) => receiver.stdout.once('data', resolve))
  return { ...(await startSocketTpm(t, args, { env: { NOTIFY_SOCKET: name } })), readyPath }
}
