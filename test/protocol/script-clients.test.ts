/** The example clients of the script socket, in Python and Go. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { PYTHON } from '../support/python.ts'
import { startScriptedTpm } from '../support/script-socket.ts'
import { projectRoot, Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const GO = '/usr/bin/go'
const example = (name: string): string => join(projectRoot, 'examples/script-socket', name)

const clients: [language: string, missing: string | false, program: (directory: string) => string[]][] = [
  [
    'Python',
    !existsSync(PYTHON) && 'there is no python3: apt-get install python3',
    () => [PYTHON, example('client.py')],
  ],
  [
    'Go',
    !existsSync(GO) && 'there is no Go: apt-get install golang-go',
    (directory) => [compiled(directory)],
  ],
]

function compiled(directory: string): string {
  const program = join(directory, 'client')
  execFileSync(GO, ['build', '-o', program, example('client.go')], {
    env: {
      ...process.env,
      CGO_ENABLED: '0',
      GOFLAGS: '-mod=mod',
      GO111MODULE: 'off',
      GOCACHE: join(directory, 'cache'),
      HOME: directory,
    },
  })
  return program
}

for (const [language, missing, program] of clients) {
  it(`${language}: faults and a taken command`, { skip: missing }, async (t) => {
    const [command, ...words] = program(temporaryDirectory(t)) as [string, ...string[]]
    const { data, scriptPath } = await startScriptedTpm(t)
    const pcr = await data.exchange(TPM2.pcrRead(0))
    const client = new Swtpm([...words, scriptPath], { program: command })
    t.after(() => client.stop('SIGKILL'))
    await waitFor(() => client.stdout === 'ready\n' || !client.running, { what: 'the client' })
    assert.equal(responseCode(await data.exchange(TPM2.getRandom())), 0x922, client.stderr)
    assert.equal(responseCode(await data.exchange(TPM2.getRandom())), 0x922)
    assert.equal(responseCode(await data.exchange(TPM2.getRandom())), 0)
    const wrong = await data.exchange(TPM2.pcrRead(0))
    assert.equal(wrong.toString('hex'), `${pcr.toString('hex').slice(0, -2)}ff`)
    assert.equal(await client.exited, 0, client.stderr)
    assert.equal(client.stdout, 'ready\nstruck 2 times, answered command 4\n')
    assert.deepEqual(await data.exchange(TPM2.pcrRead(0)), pcr)
  })
}
