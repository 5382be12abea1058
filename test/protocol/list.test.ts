/** `swtpm list`: which TPMs run, found by their processes. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isListening } from '../support/listening.ts'
import {
  bin,
  type Cleanup,
  REFERENCE_SWTPM,
  Swtpm,
  startSocketTpm,
  temporaryDirectory,
} from '../support/swtpm.ts'
import { waitFor } from '../support/wait.ts'

interface Listed {
  readonly pid: number
  readonly interface?: string
  readonly version?: string
  readonly activity?: string
  readonly address?: string
  readonly control?: string
  readonly state?: string
  readonly engine?: number
  readonly name?: string
  readonly remark?: string
}

const isRoot = process.getuid?.() === 0
const NOBODY = { uid: 65_534, gid: 65_534 }

function listed(user?: typeof NOBODY): Listed[] {
  const { status, stdout, stderr } = spawnSync(bin('swtpm'), ['list', '--json'], {
    encoding: 'utf8',
    ...user,
  })
  assert.equal(status, 0, stderr)
  return JSON.parse(stdout)
}

const page = (user?: typeof NOBODY) => spawnSync(bin('swtpm'), ['list'], { encoding: 'utf8', ...user })
const ofProcess = (pid: number): Listed | undefined => listed().find((tpm) => tpm.pid === pid)

describe('swtpm list', () => {
  it('tells version, sockets, state and engine, and whether the TPM is at rest', async (t) => {
    const env = { SWTPM_REST_MS: '100' }
    const { swtpm, directory, dataPath, controlPath } = await startSocketTpm(
      t,
      ['--tpm2', '--flags', 'startup-clear'],
      { env },
    )
    const tpm: Listed | undefined = await waitFor(
      () => listed().find(({ pid, activity }) => pid === swtpm.pid && activity === 'rest'),
      { what: 'rest' },
    )
    assert.ok(tpm?.engine !== undefined && existsSync(`/proc/${tpm.engine}`))
    assert.deepEqual(
      { ...tpm, pid: 0, engine: 0, uid: 0 },
      {
        pid: 0,
        uid: 0,
        interface: 'socket',
        version: '2.0',
        address: dataPath,
        control: controlPath,
        state: directory,
        activity: 'rest',
        engine: 0,
      },
    )
    assert.match(page().stdout, new RegExp(`^${swtpm.pid} .* 2\\.0 +socket +at rest +${dataPath} `, 'm'))
    await swtpm.stop()
    assert.equal(ofProcess(swtpm.pid), undefined)
  })

  it('has the TPMs of a fleet, and those of programs', async (t) => {
    const folder = temporaryDirectory(t)
    const socket = join(folder, 'fleet')
    const ctrl = ['--ctrl', `type=unixio,path=${socket}`]
    const fleet = new Swtpm(['fleet', ...ctrl])
    t.after(() => fleet.stop('SIGKILL'))
    await fleet.until(() => isListening(socket), 'the fleet listens')
    assert.equal(ofProcess(fleet.pid)?.remark, 'a fleet without TPMs')
    mkdirSync(join(folder, 'state'))
    const words = [
      'socket',
      '--tpm2',
      '--tpmstate',
      `dir=${folder}/state`,
      '--ctrl',
      `type=unixio,path=${folder}/control`,
    ]
    assert.equal(spawnSync(bin('swtpm'), ['fleet', 'add', 'web', ...ctrl, '--', ...words]).status, 0)
    const member = ofProcess(fleet.pid)
    assert.deepEqual(
      [member?.name, member?.state, member?.control],
      ['web', `${folder}/state`, `${folder}/control`],
    )
    await fleet.stop()

    const child = spawn(bin('swtpm'), ['run', '--', 'cat'], { stdio: ['pipe', 'ignore', 'inherit'] })
    t.after(() => end(child))
    const tpm: Listed | undefined = await waitFor(() => ofProcess(child.pid as number), {
      what: 'the TPM of swtpm run',
    })
    assert.equal(tpm?.interface, 'library')
  })

  it('has those of other users for root alone, and does not obey what they say', {
    skip: !isRoot && 'it takes root to become another user',
  }, async (t) => {
    const directory = join(hostile(t), 'state \x1b[2J\x1b]0;owned\x07')
    mkdirSync(directory)
    chmodSync(directory, 0o777)
    const child = spawn(
      bin('swtpm'),
      ['socket', '--tpm2', '--tpmstate', `dir=${directory}`, '--ctrl', `type=unixio,path=${directory}/ctrl`],
      {
        stdio: 'ignore',
        ...NOBODY,
      },
    )
    t.after(() => end(child))
    const tpm: Listed | undefined = await waitFor(() => ofProcess(child.pid as number), {
      what: 'the TPM of another user',
    })
    assert.equal(tpm?.state, directory)
    const { stdout } = page()
    assert.match(stdout, /state \\x1b\[2J\\x1b\]0;owned\\x07/)
    assert.ok([...stdout].every((character) => character === '\n' || character >= ' '))
    assert.ok(listed(NOBODY).some(({ pid }) => pid === child.pid))
    const ours = await startSocketTpm(t, ['--tpm2'])
    assert.ok(!listed(NOBODY).some(({ pid }) => pid === ours.swtpm.pid))
    await ours.swtpm.stop()
  })

  it('does not take the C program for this one', {
    skip: !existsSync(REFERENCE_SWTPM) && `${REFERENCE_SWTPM} is missing: apt-get install swtpm`,
  }, async (t) => {
    const { swtpm } = await startSocketTpm(t, ['--tpm2'], { program: REFERENCE_SWTPM })
    assert.equal(ofProcess(swtpm.pid), undefined)
    assert.match(page().stderr, new RegExp(`another program called swtpm: process.*\\b${swtpm.pid}\\b`))
    await swtpm.stop()
  })

  it('explains itself', () => {
    assert.match(
      spawnSync(bin('swtpm'), ['list', '--help'], { encoding: 'utf8' }).stdout,
      /swtpm list --json/,
    )
    assert.match(spawnSync(bin('swtpm'), ['list', 'x'], { encoding: 'utf8' }).stderr, /Unknown parameter 'x'/)
  })
})

/** A folder that every user may use. */
function hostile(t: Cleanup): string {
  const folder = temporaryDirectory(t)
  chmodSync(folder, 0o777)
  return folder
}

function end(child: ChildProcess): void {
  child.kill('SIGKILL')
}
