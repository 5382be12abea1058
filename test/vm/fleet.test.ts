/** A fleet's devices on a real kernel: made while it runs, gone with their TPM. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { describe, it } from 'node:test'
import { DeviceHandle, deviceName } from '../support/cuse-tpm.ts'
import { startFleet } from '../support/fleet.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

describe('swtpm fleet as root', () => {
  it('adds devices of the vTPM proxy and of CUSE, beside sockets', async (t) => {
    const name = deviceName()
    const fleet = await startFleet(t, { tpms: ['socket'] })
    const state = (tpm: string): string => `dir=${fleet.describe(tpm).directory}`
    for (const [tpm, words] of [
      ['proxy1', ['chardev', '--vtpm-proxy', '--tpm2']],
      ['proxy2', ['chardev', '--vtpm-proxy', '--tpm2']],
      ['cuse', ['cuse', '-n', name, '--tpm2', '--flags', 'startup-clear']],
    ] as const) {
      const all = [...words, '--tpmstate', state(tpm)]
      const answer = await fleet.ask({ verb: 'add', name: tpm, words: all, directory: '/' })
      assert.ok(answer.ok, JSON.stringify(answer))
    }
    const list = await fleet.list()
    const devices = ['proxy1', 'proxy2', 'cuse'].map(
      (tpm) => list.find((status) => status.name === tpm)?.address as string,
    )
    assert.match(devices[0] as string, /^\/dev\/tpm\d+$/)
    assert.notEqual(devices[0], devices[1])
    assert.equal(devices[2], `/dev/${name}`)
    const handles = devices.map((path) => new DeviceHandle(path))
    for (const handle of handles) assert.equal(responseCode(handle.command(TPM2.getRandom())), 0)

    // One engine dies: its device and the others' go on.
    process.kill(list.find((status) => status.name === 'proxy1')?.engine as number, 'SIGKILL')
    await waitFor(() => fleet.swtpm.stderr.includes('A new engine has taken over'), {
      what: 'another engine',
    })
    for (const handle of handles) assert.equal(responseCode(handle.command(TPM2.getRandom())), 0)
    for (const handle of handles) handle.close()

    assert.ok((await fleet.ask({ verb: 'remove', name: 'proxy1' })).ok)
    await waitFor(() => !existsSync(devices[0] as string), { what: `${devices[0]} to go` })
    assert.ok(existsSync(devices[1] as string) && existsSync(devices[2] as string))
    assert.equal(await fleet.swtpm.stop(), 0, fleet.swtpm.stderr)
    await waitFor(() => !devices.some((path) => existsSync(path)), { what: 'the devices to go' })
  })
})
