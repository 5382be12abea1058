/** `--ready-fd`: what the program that starts a TPM reads, and when. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { PYTHON } from '../support/python.ts'
import { bin, Swtpm, saidOnReadyFd, temporaryDirectory } from '../support/swtpm.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { TPM2 } from '../support/tpm-commands.ts'

/** A program with our pipe as its descriptor 3. `said` is what it has written there, when all have closed it. */
function startWithPipe(t: TestContext, args: readonly string[]) {
  const swtpm = new Swtpm([...args, '--ready-fd', '3'], { stdio: ['pipe'] })
  t.after(() => swtpm.stop('SIGKILL'))
  return { swtpm, said: saidOnReadyFd(swtpm) }
}

const socketTpm = (directory: string): string[] => [
  ...['socket', '--tpm2', '--flags', 'startup-clear', '--tpmstate', `dir=${directory}`],
  ...['--server', `type=unixio,path=${directory}/data`, '--pid', `file=${directory}/pid`],
]

async function serves(directory: string): Promise<void> {
  const client = await TpmClient.open(join(directory, 'data'))
  await client.succeed(TPM2.getRandom())
  client.connection.close()
}

describe('--ready-fd', () => {
  it('brings a line when the TPM serves, and the end of the file, as no child has the descriptor', async (t) => {
    const directory = temporaryDirectory(t)
    const { swtpm, said } = startWithPipe(t, socketTpm(directory))
    assert.equal(await said, 'READY=1\n')
    await serves(directory)
    assert.equal(await swtpm.stop(), 0)
  })

  it('does so in the background', async (t) => {
    const directory = temporaryDirectory(t)
    const { swtpm, said } = startWithPipe(t, [...socketTpm(directory), '--daemon'])
    assert.equal(await said, 'READY=1\n')
    const pid = Number(readFileSync(join(directory, 'pid'), 'utf8'))
    t.after(() => process.kill(pid))
    await serves(directory)
    assert.equal(await swtpm.exited, 0)
  })

  for (const how of ['', '--daemon']) {
    it(`brings no line when the start fails ${how}`, async (t) => {
      const directory = temporaryDirectory(t)
      const options = how === '' ? [] : [how]
      const { swtpm, said } = startWithPipe(t, [...socketTpm(join(directory, 'none')), ...options])
      assert.equal(await said, '')
      assert.equal(await swtpm.exited, 1)
    })
  }

  it('reports a fleet when its TPMs serve', async (t) => {
    const directory = temporaryDirectory(t)
    const line = `one: ${socketTpm(directory).slice(0, -2).join(' ')}\n`
    execFileSync('sh', ['-c', 'printf %s "$1" >"$2"', '-', line, join(directory, 'tpms')])
    const { swtpm, said } = startWithPipe(t, [
      ...['fleet', '--tpms', join(directory, 'tpms'), '--ctrl', `type=unixio,path=${directory}/fleet`],
    ])
    assert.equal(await said, 'READY=1\n')
    await serves(directory)
    assert.equal(await swtpm.stop(), 0)
  })

  it('takes a pipe of which the caller has left both ends open', (t) => {
    const directory = temporaryDirectory(t)
    const script = `
import os, subprocess, sys
ours, theirs = os.pipe()
swtpm = subprocess.Popen([*sys.argv[1:], '--ready-fd', str(theirs)], pass_fds=(ours, theirs))
os.close(theirs)
print(os.read(ours, 64))
swtpm.terminate()
sys.exit(swtpm.wait())
`
    const said = execFileSync(PYTHON, ['-c', script, bin('swtpm'), ...socketTpm(directory)])
    assert.equal(String(said), "b'READY=1\\n'\n")
  })
})
