/**
 * The units under a real systemd, with all that they forbid: what Node or the engine needs and does not get shows only here.
 * The machine has another first process, so systemd is the first one of a PID namespace.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { alive, nameOf } from '../../support/processes.ts'
import { RawConnection } from '../../support/raw-connection.ts'
import { tool, tpm2Tools } from '../../support/tools.ts'
import { responseCode, TPM2 } from '../../support/tpm-commands.ts'
import { waitFor } from '../../support/wait.ts'
import { projectRoot } from '../../unit/man/project-root.ts'

const INSTALL = join(projectRoot, 'scripts/install.mjs')
const UNITS = '/run/systemd/system'
const STATE = '/var/lib/swtpm'
const NV_INDEX = '0x1500016'
const TPM_RC_NV_DEFINED = 0x14c

let namespace: ChildProcess
let manager: string

/** systemctl, where systemd sees its process. */
const systemctl = (...args: string[]) => tool('nsenter', ['-t', manager, '-p', '-m', 'systemctl', ...args])

before(async () => {
  await tool(process.execPath, [INSTALL])
  // The rest of a system is not what is tested here.
  for (const unit of ['swtpm-cuse@', 'swtpm-vtpm-proxy@', 'swtpm-socket@', 'swtpm-fleet', 'modprobe@']) {
    mkdirSync(join(UNITS, `${unit}.service.d`), { recursive: true })
    writeFileSync(join(UNITS, `${unit}.service.d/alone.conf`), '[Unit]\nDefaultDependencies=no\n')
  }
  writeFileSync(join(UNITS, 'alone.target'), '[Unit]\nDefaultDependencies=no\n')
  namespace = spawn(
    'unshare',
    [
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      '/lib/systemd/systemd',
      '--system',
      '--unit=alone.target',
    ],
    { stdio: 'ignore', env: { PATH: process.env.PATH, container: 'test' } },
  )
  await waitFor(systemdIsUp, { what: 'systemd to be up' })
})

function systemdIsUp(): boolean {
  manager = spawnSync('pgrep', ['-P', String(namespace.pid)], { encoding: 'utf8' }).stdout.trim()
  if (manager === '') return false
  const { stdout } = spawnSync('nsenter', ['-t', manager, '-p', '-m', 'systemctl', 'is-system-running'], {
    encoding: 'utf8',
  })
  return /running|degraded/.test(stdout)
}

after(() => {
  // What was installed goes with the machine.
  namespace?.kill('SIGKILL')
  rmSync(UNITS, { recursive: true, force: true })
})

const groups = new Map<string, string>()

/** A unit has the same one each time that it is started. */
async function controlGroup(unit: string): Promise<string> {
  const known = groups.get(unit)
  if (known !== undefined) return known
  const group = (await systemctl('show', '-p', 'ControlGroup', '--value', unit)).trim()
  groups.set(unit, group)
  return group
}

/** The processes in a unit, by the numbers that they have here. */
async function processIds(unit: string): Promise<number[]> {
  const group = await controlGroup(unit)
  const ids = readFileSync(join('/sys/fs/cgroup', group, 'cgroup.procs'), 'utf8')
  return ids.trim().split('\n').map(Number)
}

const engineOf = async (unit: string): Promise<number | undefined> =>
  (await processIds(unit)).find((id) => nameOf(id) === 'tpm-engine')

/** Of the processes in a unit: user ids, and what they may ask of the kernel. */
async function processes(unit: string): Promise<{ uid: string; capabilities: string }[]> {
  return (await processIds(unit)).map((id) => {
    const status = readFileSync(`/proc/${id}/status`, 'utf8')
    return {
      uid: /^Uid:\t(\d+)/m.exec(status)![1]!,
      capabilities: /^CapEff:\t(\w+)/m.exec(status)![1]!,
    }
  })
}

for (const [unit, device, name] of [
  ['swtpm-cuse@vtpm0.service', '/dev/vtpm0', 'vtpm0'],
  ['swtpm-vtpm-proxy@one.service', '/dev/tpmrm0', 'one'],
] as const) {
  test(`${unit} is ready when its TPM is, runs as tss, and keeps its state`, async () => {
    const tss = (await tool('id', ['-u', 'tss'])).trim()
    await systemctl('start', unit)
    const tpm2 = tpm2Tools(`device:${device}`)
    assert.match(await tpm2('getrandom', '--hex', '8'), /^[0-9a-f]{16}$/)
    await tpm2('nvdefine', '-s', '8', NV_INDEX)
    const capabilities = '0000000000000000'
    // swtpm, spawner and engine.
    assert.deepEqual(await processes(unit), Array(3).fill({ uid: tss, capabilities }))

    const engine = (await engineOf(unit)) as number
    await systemctl('reload', unit)
    await waitFor(() => !alive(engine), { what: 'the old engine to end' })
    assert.notEqual(await engineOf(unit), undefined)
    assert.match(await tpm2('nvreadpublic'), new RegExp(NV_INDEX, 'i'))
    await systemctl('stop', unit)
    assert.equal(existsSync(device), false)
    assert.deepEqual(readdirSync(join(STATE, name)).sort(), ['.lock', 'tpm2-00.permall'])
    assert.equal(statSync(join(STATE, name)).mode & 0o7777, 0o2770)

    await systemctl('start', unit)
    assert.match(await tpm2('nvreadpublic'), new RegExp(NV_INDEX, 'i'))
    await systemctl('stop', unit)
    assert.equal((await systemctl('show', '-p', 'Result', '--value', unit)).trim(), 'success')
  })
}

/** Defines an NV index over a Unix socket. @returns the response code */
async function define(path: string): Promise<number> {
  const connection = await RawConnection.open(path)
  const code = responseCode(await connection.exchange(TPM2.nvDefine()))
  connection.close()
  return code
}

test('swtpm-socket@two.service serves the group tss on Unix sockets, and keeps its state', async () => {
  const unit = 'swtpm-socket@two.service'
  const folder = '/run/swtpm/two'
  await systemctl('start', unit)
  for (const name of ['tpm', 'ctrl']) assert.equal(statSync(join(folder, name)).mode & 0o7777, 0o660)
  assert.equal(statSync(folder).mode & 0o7777, 0o750)
  const tss = (await tool('id', ['-u', 'tss'])).trim()
  assert.equal(await define(join(folder, 'tpm')), 0)
  assert.deepEqual(new Set((await processes(unit)).map(({ uid }) => uid)), new Set([tss]))
  const engine = (await engineOf(unit)) as number
  await systemctl('reload', unit)
  await waitFor(() => !alive(engine), { what: 'the old engine to end' })
  assert.equal(await define(join(folder, 'tpm')), TPM_RC_NV_DEFINED)
  await systemctl('restart', unit)
  assert.equal(await define(join(folder, 'tpm')), TPM_RC_NV_DEFINED)
  await systemctl('stop', unit)
  assert.equal(existsSync(folder), false)
  assert.deepEqual(readdirSync(join(STATE, 'two')).sort(), ['.lock', 'tpm2-00.permall'])
})

test('swtpm-fleet.service serves what it is told, and each TPM goes on after reload', async () => {
  const unit = 'swtpm-fleet.service'
  const socket = '/run/swtpm-fleet/ctrl'
  await systemctl('start', unit)
  const fleet = (...args: string[]) =>
    tool('/usr/local/bin/swtpm', ['fleet', ...args], { SWTPM_FLEET_SOCKET: socket })
  mkdirSync(join(STATE, 'three'))
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (of) => Number(await tool('id', [of, 'tss']))))
  chownSync(join(STATE, 'three'), uid as number, gid as number)
  const place = '/run/swtpm-fleet/three'
  await fleet(
    ...['add', 'three', '--', 'socket', '--tpm2', '--flags', 'startup-clear'],
    ...['--tpmstate', `dir=${STATE}/three`, '--server', `type=unixio,path=${place}`],
  )
  assert.equal(await define(place), 0)
  const engine = (await engineOf(unit)) as number
  await systemctl('reload', unit)
  await waitFor(() => !alive(engine), { what: 'the old engine to end' })
  assert.equal(await define(place), TPM_RC_NV_DEFINED)
  assert.match(await fleet('list'), /three/)
  await systemctl('stop', unit)
  assert.equal(existsSync(socket), false)
})
