/** The script socket of a device that is in use: rules that come and go, and a client that is killed while it has a command. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openDevice, startCuseTpm } from '../support/cuse-tpm.ts'
import { enginePid } from '../support/processes.ts'
import { startProxyTpm } from '../support/proxy-tpm.ts'
import { PYTHON } from '../support/python.ts'
import { ScriptConnection } from '../support/script-socket.ts'
import { bin, type Cleanup, Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

/** Takes every GetRandom, says so, and does nothing more. */
const TAKER = `
import socket, sys
script = socket.socket(socket.AF_UNIX)
script.connect(sys.argv[1])
script.sendall(b'{"take":"GetRandom"}\\n')
lines = script.makefile()
for line in lines:
    print(line, end='', flush=True)
`

/** Adds the rule of its second argument. */
const ADDER = `
import json, socket, sys
script = socket.socket(socket.AF_UNIX)
script.connect(sys.argv[1])
script.sendall((json.dumps({'fault': sys.argv[2]}) + '\\n').encode())
print(json.loads(script.makefile().readline())['ok'])
`

async function run(program: string, ...words: string[]): Promise<string> {
  const child = new Swtpm(words, { program })
  assert.equal(await child.exited, 0, child.stderr)
  return child.stdout
}

const devices: [
  name: string,
  start: (t: Cleanup, script: string) => Promise<{ path: string; swtpm: Swtpm }>,
][] = [
  ['vTPM proxy', (t, script) => startProxyTpm(t, ['--tpm2', '--script-socket', script])],
  ['CUSE', (t, script) => startCuseTpm(t, ['--tpm2', '--flags', 'startup-clear', '--script-socket', script])],
]

for (const [name, start] of devices) {
  describe(`${name}, with a script socket`, () => {
    it('rules are added by Python and swtpm fault, and removed, while it is in use', async (t) => {
      const script = join(temporaryDirectory(t), 'script')
      const { path } = await start(t, script)
      const device = openDevice(t, path)
      const code = (): number => responseCode(device.command(TPM2.getRandom()))
      assert.equal(code(), 0)
      assert.equal(await run(PYTHON, '-c', ADDER, script, 'GetRandom: rc=FAILURE'), '1\n')
      assert.equal(code(), 0x101)
      assert.equal(await run(bin('swtpm'), 'fault', script, 'remove', '1'), 'fault 1 was removed\n')
      assert.equal(code(), 0)
      device.close()
    })

    it('a client that is killed gives its command back', async (t) => {
      const script = join(temporaryDirectory(t), 'script')
      const { path } = await start(t, script)
      const taker = spawn(PYTHON, ['-c', TAKER, script], { stdio: ['ignore', 'pipe', 'inherit'] })
      t.after(() => taker.kill('SIGKILL'))
      let told = ''
      taker.stdout.on('data', (chunk) => {
        told += chunk
      })
      await waitFor(() => told.startsWith('{"ok":1}\n'), { what: 'it takes commands' })
      const user = new Swtpm(['-c', USER, path], { program: PYTHON })
      t.after(() => user.stop('SIGKILL'))
      await waitFor(() => /"take":1,"n":\d+,"name":"GetRandom"/.test(told), { what: 'it has taken one' })
      assert.equal(user.stdout, '')
      taker.kill('SIGKILL')
      assert.equal(await user.exited, 0, user.stderr)
      assert.match(user.stdout, /^800100000014000000000008/)
      const other = await ScriptConnection.open(script)
      assert.deepEqual(await other.ask({ list: true }), { ok: [] })
      other.close()
    })
  })
}

describe('an engine that is killed while a client has a command', () => {
  for (const [name, start, sees] of [
    [...devices[0]!, /^80010000000a00000909$/],
    [...devices[1]!, /^EIO$/],
  ] as const) {
    it(`${name}: its client gets an answer, and the next command comes to the client again`, async (t) => {
      const path = join(temporaryDirectory(t), 'script')
      const tpm = await start(t, path)
      const script = await ScriptConnection.open(path)
      t.after(() => script.close())
      await script.ask({ take: 'GetRandom' })
      const user = new Swtpm(['-c', USER, tpm.path], { program: PYTHON })
      t.after(() => user.stop('SIGKILL'))
      const first = await script.line()
      process.kill(await enginePid(tpm.swtpm.pid), 'SIGKILL')
      assert.equal(await user.exited, 0, user.stderr)
      assert.match(user.stdout.trim(), sees)
      assert.deepEqual(await script.line(), { take: 1, n: first.n, gone: 'the engine has ended' })
      const next = new Swtpm(['-c', USER, tpm.path], { program: PYTHON })
      t.after(() => next.stop('SIGKILL'))
      script.send({ n: (await script.line()).n, effects: 'rc=FAILURE' })
      assert.equal(await next.exited, 0, next.stderr)
      assert.equal(next.stdout.trim(), '80010000000a00000101')
    })
  }
})

/** Sends GetRandom to the device and prints the response, or the name of the errno. */
const USER = `
import errno, os, sys
device = os.open(sys.argv[1], os.O_RDWR)
try:
    os.write(device, bytes.fromhex('80010000000c0000017b0008'))
    print(os.read(device, 4096).hex())
except OSError as error:
    print(errno.errorcode[error.errno])
`
