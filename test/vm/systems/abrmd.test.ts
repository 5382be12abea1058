/** tpm2-abrmd on each kind of device, on a D-Bus of the machine, and what it keeps apart for its clients. */
import assert from 'node:assert/strict'
import { chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { startCuseTpm } from '../../support/cuse-tpm.ts'
import { startProxyTpm } from '../../support/proxy-tpm.ts'
import { listens, Service } from '../../support/service.ts'
import { suiteCleanup } from '../../support/suite.ts'
import { type Cleanup, Swtpm, temporaryDirectory } from '../../support/swtpm.ts'
import { TctiClient } from '../../support/tcti-client.ts'
import { tool, tpm2Tools } from '../../support/tools.ts'
import { handlesIn, responseCode, TPM2 } from '../../support/tpm-commands.ts'
import { waitFor } from '../../support/wait.ts'

const BUS_NAME = 'com.intel.tss2.Tabrmd'
const FIRST = { loadedSession: 0x02000000, savedSession: 0x03000000, transient: 0x80000000 }

const busHas = async (name: string): Promise<boolean> => {
  const list = await tool('dbus-send', [
    ...['--system', '--print-reply', '--dest=org.freedesktop.DBus', '/org/freedesktop/DBus'],
    'org.freedesktop.DBus.ListNames',
  ]).catch(() => '')
  return list.includes(`"${name}"`)
}

/** The user that the package made for it, as its unit does. */
async function tssUser(): Promise<{ uid: number; gid: number }> {
  const [, , uid, gid] = (await tool('getent', ['passwd', 'tss'])).split(':')
  return { uid: Number(uid), gid: Number(gid) }
}

async function startAbrmd(t: Cleanup, tcti: string, device?: string): Promise<Service> {
  const user = await tssUser()
  // udev's work on a machine that has it.
  if (device !== undefined) chownSync(device, user.uid, user.gid)
  const abrmd = new Service(t, '/usr/sbin/tpm2-abrmd', [`--tcti=${tcti}`], user)
  await abrmd.until(() => busHas(BUS_NAME), 'it has its name on the bus')
  return abrmd
}

interface Transport {
  readonly name: string
  start(t: Cleanup): Promise<{ tcti: string; device?: string }>
}

const transports: readonly Transport[] = [
  {
    name: '/dev/tpm0 of the vTPM proxy',
    async start(t) {
      const { path } = await startProxyTpm(t)
      return { tcti: `device:${path}`, device: path }
    },
  },
  {
    name: 'a device of CUSE',
    async start(t) {
      const { path } = await startCuseTpm(t, ['--tpm2', '--flags', 'not-need-init,startup-clear'])
      return { tcti: `device:${path}`, device: path }
    },
  },
  {
    name: 'our TCP socket',
    async start(t) {
      const port = 2321
      const swtpm = new Swtpm([
        ...['socket', '--tpm2', '--tpmstate', `dir=${temporaryDirectory(t)}`],
        ...['--server', `type=tcp,port=${port}`, '--ctrl', `type=tcp,port=${port + 1}`],
        ...['--flags', 'not-need-init,startup-clear'],
      ])
      t.after(() => swtpm.stop('SIGKILL'))
      await swtpm.until(() => listens(port + 1), 'it listens')
      return { tcti: `swtpm:host=127.0.0.1,port=${port}` }
    },
  },
]

describe('tpm2-abrmd', () => {
  const suite = suiteCleanup()

  before(async () => {
    mkdirSync('/run/dbus', { recursive: true })
    const bus = new Service(suite, 'dbus-daemon', ['--system', '--nofork', '--nopidfile'])
    await bus.until(() => busHas('org.freedesktop.DBus'), 'the bus answers')
  })

  for (const { name, start } of transports) {
    it(`on ${name}: several clients, their objects and sessions apart, nothing left of a dead one`, async (t) => {
      const { tcti, device } = await start(t)
      const abrmd = await startAbrmd(t, tcti, device)

      const [a, b] = await Promise.all([TctiClient.connect(t, 'tabrmd'), TctiClient.connect(t, 'tabrmd')])
      const created = await a.command(TPM2.createPrimaryEcc)
      assert.equal(responseCode(created), 0)
      const object = created.readUInt32BE(10)
      const begun = await a.command(TPM2.startPolicySession)
      assert.equal(responseCode(begun), 0)
      const session = begun.readUInt32BE(10)
      const visible = async (client: TctiClient, first: number): Promise<number[]> =>
        handlesIn(await client.command(TPM2.getHandles(first)))
      assert.deepEqual(await visible(a, FIRST.transient), [object])
      assert.equal(responseCode(await a.command(TPM2.readPublic(object))), 0)

      assert.deepEqual(await visible(b, FIRST.transient), [])
      // Not asked: TPM2_FlushContext of another's session, which the daemon lets pass, to any TPM.
      for (const command of [
        TPM2.readPublic(object),
        TPM2.flushContext(object),
        TPM2.policyGetDigest(session),
      ]) {
        assert.notEqual(responseCode(await b.command(command)), 0, command.toString('hex'))
      }
      assert.equal(responseCode(await a.command(TPM2.policyGetDigest(session))), 0)
      assert.equal(responseCode(await a.command(TPM2.readPublic(object))), 0, 'the other one could flush it')

      // One stays in the middle of its work while others come and go.
      const directory = temporaryDirectory(t)
      const client = tpm2Tools('tabrmd')
      const [random, pcrs] = await Promise.all([
        client('getrandom', '--hex', '8'),
        client('pcrread', 'sha256:16'),
        client('createprimary', '-Q', '-G', 'ecc', '-c', join(directory, 'primary')),
      ])
      assert.match(random, /^[0-9a-f]{16}$/)
      assert.match(pcrs, /16: 0x0{64}/)

      await a.service.stop('SIGKILL')
      const sessionsAreGone = async (): Promise<boolean> =>
        (await visible(b, FIRST.savedSession)).length === 0 &&
        (await visible(b, FIRST.loadedSession)).length === 0
      await waitFor(sessionsAreGone, { what: 'the dead client’s session to go' })
      const next = await TctiClient.connect(t, 'tabrmd')
      assert.deepEqual(await visible(next, FIRST.transient), [])

      // Without the broker: what the TPM itself holds.
      await abrmd.stop()
      const direct = await TctiClient.connect(t, tcti)
      for (const first of Object.values(FIRST)) assert.deepEqual(await visible(direct, first), [])
      await direct.service.stop('SIGKILL')
    })
  }
})
