/** `swtpm run`: a TPM for the length of a command. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { projectRoot } from '../support/swtpm.ts'
import { waitFor } from '../support/wait.ts'

const SWTPM = join(projectRoot, 'bin/swtpm')

/** Temporary files of a run, which has to leave none. */
function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'swtpm-test-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function run(t: TestContext, ...words: string[]) {
  const TMPDIR = folder(t)
  const result = spawnSync(SWTPM, ['run', ...words], { encoding: 'utf8', env: { ...process.env, TMPDIR } })
  assert.deepEqual(readdirSync(TMPDIR), [])
  return result
}

describe('swtpm run', () => {
  it('gives a tool a TPM, and nothing of it is left', (t) => {
    const { status, stdout, stderr } = run(t, '--', 'tpm2_getrandom', '--hex', '8')
    assert.equal(stderr, '')
    assert.match(stdout, /^[0-9a-f]{16}$/)
    assert.equal(status, 0)
  })

  it('ends with the exit code of the command', (t) => {
    assert.equal(run(t, '--', 'sh', '-c', 'exit 7').status, 7)
    assert.equal(run(t, '--', 'sh', '-c', 'kill -KILL $$').status, 137)
    const missing = run(t, '--', 'no-such-program')
    assert.equal(missing.status, 127)
    assert.match(missing.stderr, /Cannot run "no-such-program": no such file or directory/)
    assert.equal(run(t, '--', '/etc/passwd').status, 126)
  })

  it('writes what has passed: in words, as a recording, for Wireshark', (t) => {
    const directory = folder(t)
    const [trace, recording, pcap] = ['trace.txt', 'run.tpmrec', 'run.pcapng'].map((name) =>
      join(directory, name),
    ) as [string, string, string]
    const { status } = run(
      t,
      ...['--trace', trace, '--record', recording, '--pcap', `file=${pcap}`],
      ...['--fault', 'GetRandom#1: rc=RETRY', '--', 'tpm2_getrandom', '--hex', '8'],
    )
    assert.equal(status, 0)
    const words = readFileSync(trace, 'utf8')
    assert.match(words, /GetRandom bytesRequested 8 .*RETRY.*\n.*GetRandom bytesRequested 8 .*SUCCESS/)
    for (const file of [recording, pcap])
      assert.equal(spawnSync(SWTPM, ['trace', file], { encoding: 'utf8' }).stdout, words)
  })

  it('teaches the words of --fault and --mode', (t) => {
    assert.match(run(t, '--fault', 'help').stdout, /^RULE = /)
    assert.match(run(t, '--mode', 'help').stdout, /^ +lockout /m)
    assert.match(run(t, '--mode', 'disabled', '--', 'true').stderr, /swtpm run: give --tpm12/)
  })

  it('takes rules while the command runs', (t) => {
    const socket = join(folder(t), 'script')
    const script = `"${SWTPM}" fault "${socket}" add "GetRandom#1: rc=RETRY" && tpm2_getrandom 1 >/dev/null && "${SWTPM}" fault "${socket}" list`
    const { stdout } = run(t, '--script-socket', socket, '--', 'sh', '-c', script)
    assert.match(stdout, /^1 .* 1 .* GetRandom#1: rc=RETRY$/m)
  })

  it('says what is wrong with its own words, and ends with 125', (t) => {
    for (const [words, text] of [
      [[], /Missing command: swtpm run -- /],
      [['--', ''], /Missing command: swtpm run -- /],
      [['true'], /the command follows "--": swtpm run -- true/],
      [
        ['--fault', 'GetRandm: drop', '--', 'true'],
        /column 1: no command "GetRandm"; did you mean GetRandom\?/,
      ],
      [['--state', '/proc/nothing', '--', 'true'], /nothing/],
      [['--seed-insecure', 'x', '--', 'true'], /--seed-insecure: "x" is not a number/],
    ] as const) {
      const { status, stderr } = run(t, ...words)
      assert.match(stderr, text)
      assert.doesNotMatch(stderr, /internal error|\n\s+at /i)
      assert.equal(status, 125)
    }
  })

  it('logs what a fault strikes', (t) => {
    const { status, stderr } = run(
      t,
      '--fault',
      'GetRandom#1: rc=RETRY',
      '--',
      'tpm2_getrandom',
      '--hex',
      '8',
    )
    assert.match(stderr, /swtpm run: fault 1 "GetRandom#1: rc=RETRY" struck GetRandom/)
    assert.equal(status, 0)
  })

  it('makes certificates', (t) => {
    const { status, stdout } = run(t, '--with-ek-cert', '--', 'sh', '-c', 'tpm2_nvreadpublic | grep -c 0x1c0')
    assert.equal(status, 0)
    assert.ok(Number(stdout) >= 1)
  })

  it('keeps the state that it is told to keep', (t) => {
    const state = join(folder(t), 'tpm')
    const define = ['tpm2_nvdefine', '-C', 'o', '-s', '8', '0x1500016']
    assert.equal(run(t, '--state', state, '--', ...define).status, 0)
    const { stdout } = run(t, '--state', state, '--', 'tpm2_getcap', 'handles-nv-index')
    assert.match(stdout, /0x1500016/i)
  })

  it('passes a signal on, and outlives the ^C that is for the command', async (t) => {
    const TMPDIR = folder(t)
    const script =
      'trap "echo term; exit 3" TERM; trap "echo int" INT; echo ready; while :; do sleep 0.05; done'
    const child = spawn(SWTPM, ['run', '--', 'sh', '-c', script], {
      env: { ...process.env, TMPDIR },
      detached: true,
    })
    t.after(() => child.kill('SIGKILL'))
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
    })
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve))
    await waitFor(() => output.includes('ready'), { what: 'the command' })
    process.kill(-(child.pid as number), 'SIGINT')
    await waitFor(() => output.includes('int'), { what: 'the ^C' })
    child.kill('SIGTERM')
    assert.equal(await ended, 3)
    assert.match(output, /term/)
    assert.deepEqual(readdirSync(TMPDIR), [])
  })
})
