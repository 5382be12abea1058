/** Scripts on devices: commands that are cancelled while a script has them, SetLocality, and a fleet whose members have scripts. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, describe, it } from 'node:test'
import { type DeviceHandle, openDevice } from '../support/cuse-tpm.ts'
import { type DeviceFleet, startDeviceFleet } from '../support/device-fleet.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { ScriptConnection } from '../support/script-socket.ts'
import { suiteCleanup } from '../support/suite.ts'
import { temporaryDirectory } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const TPM_RC_FAILURE = 0x101
const TPM_RC_CANCELED = 0x909
const TPM_RC_NV_RATE = 0x920
const TPM_RC_NV_UNAVAILABLE = 0x923

const shared = suiteCleanup()
let fleet: DeviceFleet
before(async () => {
  fleet = await startDeviceFleet(shared)
})

const codeOf = (device: DeviceHandle): number => responseCode(device.command(TPM2.getRandom()))

describe('CANCEL_TPM_CMD on a CUSE device whose script has the command', () => {
  it('tells the client of the script socket, and the command is answered CANCELED', async (t) => {
    const path = join(temporaryDirectory(t), 'script')
    const device = openDevice(t, await fleet.cuse(t, '--script-socket', path))
    const script = await ScriptConnection.open(path)
    t.after(() => script.close())
    await script.ask({ take: 'GetRandom' })
    device.write(TPM2.getRandom())
    const taken = await script.line()
    const response = device.readLater()
    assert.equal(device.verb('CANCEL_TPM_CMD').tpmResult, 0)
    assert.equal(responseCode(await response), TPM_RC_CANCELED)
    assert.deepEqual(await script.line(), { take: 1, n: taken.n, gone: 'cancelled' })
    await script.ask({ stop: 1 })
    assert.equal(codeOf(device), 0)
  })

  for (const effect of ['delay=1000s', 'stall', 'late=1000s'])
    it(`ends ${effect}`, async (t) => {
      const device = openDevice(t, await fleet.cuse(t, '--fault', `GetRandom#1: ${effect}`))
      device.write(TPM2.getRandom())
      const response = device.readLater()
      assert.equal(device.verb('CANCEL_TPM_CMD').tpmResult, 0)
      // What the TPM has executed when the cancel comes has happened: its response comes, now.
      const possible = effect.startsWith('late') ? [0, TPM_RC_CANCELED] : [TPM_RC_CANCELED]
      assert.ok(possible.includes(responseCode(await response)))
      assert.equal(codeOf(device), 0)
    })
})

describe('SetLocality, which the vTPM proxy driver sends before everything else', () => {
  it('can be refused, so that there is no device', async (t) => {
    const words = ['chardev', '--vtpm-proxy', '--tpm2', '--fault']
    for (const effect of ['rc=FAILURE', 'hangup', 'truncate=9'])
      assert.match(
        (await fleet.refusal(t, [...words, `SetLocality[from=driver]: ${effect}`])) ?? 'it is served',
        /the kernel has given up|dmesg/,
        effect,
      )
  })

  it('can be late, and the device comes', async (t) => {
    const { path } = await fleet.proxy(
      t,
      '--tpm2',
      '--fault',
      'SetLocality#1: delay=1s',
      '--fault',
      '*: delay=1ms',
    )
    assert.equal(codeOf(openDevice(t, path)), 0)
  })
})

describe('members of a fleet that have scripts', () => {
  it('have each its own, on a socket, a device of the vTPM proxy and one of CUSE', async (t) => {
    const directory = temporaryDirectory(t)
    const words = (name: string, code: string): string[] => [
      ...['--fault', `own=GetRandom#1: rc=${code}`],
      ...['--script-socket', join(directory, name)],
    ]
    const data = join(directory, 'data')
    const answer = await fleet.ask({
      verb: 'add',
      name: 'scripted-socket',
      words: [
        ...['socket', '--tpm2', '--flags', 'startup-clear', '--server', `type=unixio,path=${data}`],
        ...[
          '--tpmstate',
          `dir=${fleet.describe('scripted-socket').directory}`,
          ...words('socket', 'NV_RATE'),
        ],
      ],
      directory: '/',
    })
    assert.ok(answer.ok, JSON.stringify(answer))
    t.after(() => fleet.ask({ verb: 'remove', name: 'scripted-socket' }))
    const proxy = openDevice(t, (await fleet.proxy(t, '--tpm2', ...words('proxy', 'FAILURE'))).path)
    const cuse = openDevice(t, await fleet.cuse(t, ...words('cuse', 'NV_UNAVAILABLE')))
    const socket = await RawConnection.open(data)
    t.after(() => socket.close())
    const onSocket = async (): Promise<number> => responseCode(await socket.exchange(TPM2.getRandom()))

    // The kernel has asked the proxy's for random numbers by itself.
    const struck = async (name: string): Promise<number | undefined> => {
      const script = await ScriptConnection.open(join(directory, name))
      const { ok } = await script.ask({ list: true })
      script.close()
      return (ok as { struck: number }[])[0]?.struck
    }
    assert.equal(await onSocket(), TPM_RC_NV_RATE)
    assert.equal(codeOf(cuse), TPM_RC_NV_UNAVAILABLE)
    assert.deepEqual(
      [await onSocket(), codeOf(cuse), codeOf(proxy)],
      [0, 0, 0],
      'each rule has struck its own TPM, once',
    )
    for (const name of ['socket', 'proxy', 'cuse']) assert.equal(await struck(name), 1, name)

    // One that holds a command holds nobody else's.
    const holder = await ScriptConnection.open(join(directory, 'cuse'))
    t.after(() => holder.close())
    await holder.ask({ take: '*' })
    cuse.write(TPM2.getRandom())
    const { n } = await holder.line()
    assert.deepEqual([await onSocket(), codeOf(proxy)], [0, 0])
    holder.send({ n, effects: 'rc=FAILURE' })
    assert.equal(responseCode(await cuse.readLater()), TPM_RC_FAILURE)

    // And one whose engine dies goes on with its rules.
    const rules = await ScriptConnection.open(join(directory, 'proxy'))
    t.after(() => rules.close())
    await rules.ask({ fault: 'GetRandom: rc=FAILURE' })
    const engine = (await fleet.list()).find(({ address }) => address?.startsWith('/dev/tpm'))?.engine
    process.kill(engine as number, 'SIGKILL')
    await waitFor(() => fleet.swtpm.stderr.includes('A new engine has taken over'), {
      what: 'another engine',
    })
    assert.equal(codeOf(proxy), TPM_RC_FAILURE)
    assert.equal(await onSocket(), 0)
  })
})
