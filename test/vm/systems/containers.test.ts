/** Containers, each with a TPM of its own: runc, podman by CDI, and a TPM for a user who is not root. */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, closeSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { DeviceDirectory } from '../../../src/system/io/device-directory.ts'
import { newProxyDevice, registered } from '../../../src/vtpm-proxy/new-device.ts'
import { type ContainerEdits, makeRoot, RuncContainer } from '../../support/container.ts'
import { STARTED, startCuseTpm } from '../../support/cuse-tpm.ts'
import { type ProxyTpm, startProxyTpm } from '../../support/proxy-tpm.ts'
import { Service } from '../../support/service.ts'
import { bin, type Cleanup, temporaryDirectory } from '../../support/swtpm.ts'
import { tool } from '../../support/tools.ts'
import { waitFor } from '../../support/wait.ts'

interface OfferedTpm extends ProxyTpm {
  readonly specification: string
  readonly edits: ContainerEdits
}

/** A TPM of the vTPM proxy that `swtpm cdi` has offered to containers, and that ends with the one that takes it. */
async function offerTpm(t: Cleanup, name: string, ...options: string[]): Promise<OfferedTpm> {
  const pidFile = join(temporaryDirectory(t), 'pid')
  const tpm = await startProxyTpm(t, ['--tpm2', '--pid', `file=${pidFile}`])
  const args = ['cdi', 'write', '--name', name, '--device', tpm.path, '--end-with-container', pidFile]
  await tool(bin('swtpm'), [...args, ...options])
  const specification = `/run/cdi/swtpm.internal-tpm_${name}.json`
  const edits = JSON.parse(readFileSync(specification, 'utf8')).devices[0].containerEdits
  return { ...tpm, specification, edits }
}

async function isGone({ swtpm, path, resourceManagerPath, specification }: OfferedTpm): Promise<void> {
  assert.equal(await swtpm.exited, 0)
  for (const file of [path, resourceManagerPath, specification]) assert.equal(existsSync(file), false, file)
}

const ENDORSEMENT_KEY =
  'tpm2_createek -G ecc -c /tmp/ek -u /tmp/ek.pub; sha256sum </tmp/ek.pub; tpm2_flushcontext -t'

describe('containers of runc', () => {
  it('have each their own TPM, as the first one, until they end', async (t) => {
    const tpms = [await offerTpm(t, 'one'), await offerTpm(t, 'two')] as const
    const one = await RuncContainer.start(t, 'one', tpms[0].edits)
    const two = await RuncContainer.start(t, 'two', tpms[1].edits)
    for (const container of [one, two]) {
      assert.deepEqual((await container.run('ls /dev | grep tpm')).trim().split('\n'), ['tpm0', 'tpmrm0'])
    }
    const keys = await Promise.all([one.run(ENDORSEMENT_KEY), two.run(ENDORSEMENT_KEY)])
    assert.notEqual(keys[0], keys[1])

    const digest = 'ab'.repeat(32)
    const pcr = 'tpm2_pcrread sha256:16'
    const untouched = await two.run(pcr)
    await one.run(`tpm2_pcrextend 16:sha256=${digest}`)
    assert.match(untouched, /16: 0x0{64}/)
    assert.notEqual(await one.run(pcr), untouched)
    assert.equal(await two.run(pcr), untouched)

    // Nor does it help to make the other's node: the container's control group knows its own devices only.
    const { rdev } = statSync(tpms[1].resourceManagerPath)
    const [major, minor] = [(rdev >> 8) & 0xfff, (rdev & 0xff) | ((rdev >> 12) & 0xfff00)]
    const theirs = `mknod /dev/theirs c ${major} ${minor} && exec 3<>/dev/theirs`
    await assert.rejects(one.run(theirs), /Operation not permitted/)

    await one.kill()
    await isGone(tpms[0])
    assert.equal(await two.run(pcr), untouched)
    await two.kill()
    await isGone(tpms[1])
  })
})

/** Runs a script in a container that asks for the TPM of this name. @returns what it prints */
async function podman(t: Cleanup, name: string, script: string): Promise<string> {
  const store = temporaryDirectory(t)
  const root = makeRoot(t)
  for (const folder of ['bin', 'lib', 'lib64', 'sbin']) mkdirSync(join(root, folder))
  const mounts = ['/usr', '/etc/alternatives', '/etc/ld.so.cache'].flatMap((path) => [
    '-v',
    `${path}:${path}:ro`,
  ])
  const merged = ['bin', 'lib', 'lib64', 'sbin'].flatMap((folder) => ['-v', `/usr/${folder}:/${folder}:ro`])
  return tool('podman', [
    ...['--root', join(store, 'root'), '--runroot', join(store, 'run'), '--tmpdir', join(store, 'tmp')],
    ...[
      '--storage-driver',
      'vfs',
      '--cgroup-manager',
      'cgroupfs',
      '--events-backend',
      'none',
      '--runtime',
      'runc',
    ],
    ...['run', '--rm', '--network', 'none', '--log-driver', 'none', '--device', `swtpm.internal/tpm=${name}`],
    ...[...mounts, ...merged, '--rootfs', root],
    ...['sh', '-ec', script],
  ])
}

describe('podman', () => {
  it('finds a TPM by its CDI name', async (t) => {
    const tpm = await offerTpm(t, 'web', '--cdi-version', '0.5.0')
    const output = await podman(t, 'web', 'ls /dev | grep tpm; tpm2_getrandom --hex 8')
    assert.match(output, /^tpm0\ntpmrm0\n[0-9a-f]{16}/)
    await isGone(tpm)
  })

  it('has a CUSE TPM for many clients as /dev/tpmrm0, and not the device that controls it', async (t) => {
    const pidFile = join(temporaryDirectory(t), 'pid')
    const { swtpm, path } = await startCuseTpm(t, [
      ...STARTED,
      ...['--resource-manager', '--pid', `file=${pidFile}`],
    ])
    const device = `${path}rm`
    const words = ['--device', device, '--end-with-container', pidFile, '--cdi-version', '0.5.0']
    await tool(bin('swtpm'), ['cdi', 'write', '--name', 'shared', ...words])
    const work = 'tpm2_createprimary -Q -C o -G ecc -c /tmp/$n; tpm2_readpublic -Q -c /tmp/$n; echo $n'
    const output = await podman(
      t,
      'shared',
      `ls /dev | grep tpm; for n in 1 2 3 4; do { ${work}; } & done; wait; tpm2_getcap handles-transient`,
    )
    const [first, ...rest] = output.trim().split('\n')
    assert.equal(first, 'tpmrm0')
    assert.deepEqual(rest.sort(), ['1', '2', '3', '4'])
    assert.equal(await swtpm.exited, 0)
    for (const node of [path, device]) assert.equal(existsSync(node), false, node)
  })
})

describe('a broker for a user who is not root', () => {
  it('makes the device, hands its other end to a swtpm of theirs, and gives them the node', async (t) => {
    const nobody = { uid: 65534, gid: 65534 }
    const directory = temporaryDirectory(t)
    chownSync(directory, nobody.uid, nobody.gid)
    const device = newProxyDevice('2', DeviceDirectory.open(), '')
    const swtpm = new Service(
      t,
      bin('swtpm'),
      [
        ...['chardev', '--fd', '3', '--tpm2', '--tpmstate', `dir=${directory}`],
        ...['--flags', 'not-need-init,startup-clear', '--locality', 'reject-locality-4,allow-set-locality'],
      ],
      { ...nobody, fds: [device.serverFd] },
    )
    closeSync(device.serverFd)
    assert.ok(await registered(device, DeviceDirectory.open()), swtpm.output)
    const node = `/dev/tpmrm${device.tpmNum}`
    await waitFor(() => existsSync(node), { what: node })
    chownSync(node, nobody.uid, nobody.gid)
    chmodSync(node, 0o600)

    const asNobody = (program: string, ...args: string[]): Promise<string> =>
      tool('setpriv', ['--reuid', '65534', '--regid', '65534', '--clear-groups', program, ...args])
    assert.match(await asNobody('tpm2_getrandom', '-T', `device:${node}`, '--hex', '8'), /^[0-9a-f]{16}$/)
    assert.equal(statSync(join(directory, 'tpm2-00.permall')).uid, nobody.uid)
    await assert.rejects(asNobody('cat', `/dev/tpm${device.tpmNum}`), /Permission denied/)
    await assert.rejects(
      asNobody(bin('swtpm'), 'chardev', '--vtpm-proxy', '--tpm2', '--tpmstate', `dir=${directory}`),
    )

    assert.equal(await swtpm.stop(), 0)
    await waitFor(() => !existsSync(node), { what: 'the device to go' })
  })
})
