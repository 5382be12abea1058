/** The keeper, asked by something else than the supervisor. @see docs/design/0007-sleeping-supervisor.md */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { alive } from '../support/processes.ts'
import { PYTHON } from '../support/python.ts'
import { type Cleanup, Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { waitFor } from '../support/wait.ts'

/** What stands in for Node: it has `ask(code, value, bytes, fds)`, which returns the value of the answer, and prints it. */
const ASKING = `
import os, signal, socket, struct, sys, time
keeper = socket.socket(fileno=int(os.environ['SWTPM_KEEPER_FD'].split()[0]))
SERVE, READY, ENGINE, USER, SPAWN, KILL, LOCK, UNLOCK, CONFINE = range(1, 10)
def ask(code, value=0, data=b'', fds=()):
    socket.send_fds(keeper, [struct.pack('=II', code, value) + data], fds)
    while True:
        answer = keeper.recv(8200)
        if struct.unpack('=I', answer[:4]) == (32,):
            value, = struct.unpack('=i', answer[4:8])
            print(value, flush=True)
            return value
def words(*list):
    return b''.join(word.encode() + b'\\0' for word in list)
null = os.open('/dev/null', os.O_RDWR)
`

function startAsking(t: Cleanup, script: string, env: NodeJS.ProcessEnv = {}): Swtpm {
  const folder = temporaryDirectory(t)
  writeFileSync(join(folder, 'node'), `#!${PYTHON}\n${ASKING}${script}`, { mode: 0o755 })
  const swtpm = new Swtpm(['socket'], { env: { PATH: `${folder}:${process.env.PATH}`, ...env } })
  t.after(() => swtpm.stop('SIGKILL'))
  return swtpm
}

/** The numbers that the script has printed, and what the keeper has ended with. */
async function asked(t: Cleanup, script: string, env?: NodeJS.ProcessEnv) {
  const swtpm = startAsking(t, script, env)
  const code = await swtpm.exited
  return { code, answers: swtpm.stdout.trim().split('\n').map(Number), stderr: swtpm.stderr }
}

const { EALREADY, EINVAL, EPERM, ESRCH } = constants.errno

it('is told once what engines are, before it is confined; their words are arguments only', async (t) => {
  const { answers, code } = await asked(
    t,
    `
ask(SPAWN, 0, b'', [null])
ask(SERVE)
ask(SERVE, 0, struct.pack('=I', 100))
ask(ENGINE, 0, b'/bin/sh', [null, null])
ask(ENGINE, 0, words('--bad'), [null, null])
ask(ENGINE, 0, words('/bin/sh', '-c', 'true'), [null, null])
ask(SPAWN, 0, b'', [null])
ask(KILL, os.getppid())
ask(LOCK, 0, b'', [null])
ask(LOCK, 0, b'', [null])
ask(CONFINE, 4)
ask(ENGINE, 0, words('--bad'), [null, null])
ask(USER, 0, struct.pack('=I', 0))
sys.exit(7)
`,
  )
  assert.ok(answers[6]! > 0)
  assert.deepEqual(
    [answers[0], ...answers.slice(2, 6), ...answers.slice(7)],
    [-EINVAL, -EALREADY, -EINVAL, 0, -EALREADY, -ESRCH, 0, -EALREADY, 0, -EPERM, -EPERM],
  )
  assert.equal(code, 7)
})

it('does not confine itself where its engines would not be', async (t) => {
  const { answers } = await asked(
    t,
    `
ask(SERVE)
ask(ENGINE, 0, words('--seccomp', 'none'), [null, null])
ask(CONFINE, 4)
`,
  )
  assert.deepEqual(answers.slice(1), [0, -EPERM])
})

it('ends after its engines, and kills the one that does not end', async (t) => {
  const folder = temporaryDirectory(t)
  const engine = join(folder, 'engine')
  // Without a channel to hear of the end by.
  writeFileSync(engine, '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 })
  const { answers, code, stderr } = await asked(
    t,
    `
ask(SERVE)
ask(ENGINE, 0, words('--log-prefix', 'mine: '), [null, null, 2])
ask(SPAWN, 0, b'', [null])
sys.exit(3)
`,
    { SWTPM_ENGINE: engine },
  )
  assert.equal(code, 3)
  assert.throws(() => process.kill(answers[2]!, 0), { code: 'ESRCH' })
  assert.equal(stderr, 'mine: The engine has not ended within 8 s: it is killed\n')
})

it('tells Node of every end of an engine at rest, however many signals come', async (t) => {
  const folder = temporaryDirectory(t)
  const [engine, go] = [join(folder, 'engine'), join(folder, 'go')]
  writeFileSync(engine, '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 })
  const swtpm = startAsking(
    t,
    `
REST, RESUMED, SIGNAL, ENDED = 10, 11, 33, 34
if 'wake' not in os.environ['SWTPM_KEEPER_FD']:
    ask(SERVE)
    ask(ENGINE, 0, words('--tpm', '2'), [null, null])
    for i in range(9): ask(SPAWN, 0, b'', [null])
    pair = socket.socketpair()
    ask(REST, 0, struct.pack('=III', 0, 1, 0), [pair[0].fileno(), pair[1].fileno()])
    sys.exit(0)
while not os.path.exists('${go}'): time.sleep(0.01)
if not os.path.exists('${go}2'):
    open('${go}2', 'w')
    sys.exit(0)
heard = [struct.unpack('=II', keeper.recv(8200)[:8]) for i in range(10)]
ask(RESUMED)
print(heard[0][0], *sorted(value for code, value in heard if code == ENDED), [value for code, value in heard if code == SIGNAL])
`,
    { SWTPM_ENGINE: engine },
  )
  await swtpm.until(() => swtpm.stdout.split('\n').length > 12, 'it is at rest')
  const pids = swtpm.stdout.split('\n').slice(2, 10).map(Number)
  assert.equal(Number(swtpm.stdout.split('\n')[10]), -constants.errno.EAGAIN)
  for (let i = 0; i < 300; i++) {
    process.kill(swtpm.pid, 'SIGUSR2')
    await new Promise(setImmediate)
  }
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  await waitFor(() => !pids.some(alive), { what: 'the engines to end' })
  writeFileSync(go, '')
  assert.equal(await swtpm.exited, 0)
  const sorted = [...pids].sort((a, b) => a - b).join(' ')
  assert.equal(swtpm.stdout.trim().split('\n').at(-1), `35 ${sorted} [${constants.signals.SIGUSR2}]`)
})
