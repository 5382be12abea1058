/** What the kernel itself does with our TPM: random numbers, PCRs in sysfs, its resource manager, suspending. */
import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { startProxyTpm } from '../support/proxy-tpm.ts'
import { noSuspend, rehearseSuspend } from '../support/suspend.ts'
import { TctiClient } from '../support/tcti-client.ts'
import { tpm2Tools } from '../support/tools.ts'
import { handlesIn, responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const HW_RANDOM = '/sys/class/misc/hw_random'
const generators = (): string[] => readFileSync(`${HW_RANDOM}/rng_available`, 'utf8').trim().split(' ')

describe('tpm-rng', () => {
  for (const [version, args] of [
    ['2.0', ['--tpm2']],
    ['1.2', []],
  ] as const) {
    it(`gives the kernel random numbers of a TPM ${version}, as long as it is there`, async (t) => {
      const { swtpm, number } = await startProxyTpm(t, args)
      const name = `tpm-rng-${number}`
      await waitFor(() => generators().includes(name), { what: `${name} among the generators` })
      writeFileSync(`${HW_RANDOM}/rng_current`, name)
      assert.equal(readFileSync(`${HW_RANDOM}/rng_current`, 'utf8').trim(), name)
      const [first, second] = [Buffer.alloc(64), Buffer.alloc(64)]
      const device = openSync('/dev/hwrng', 'r')
      for (const buffer of [first, second]) assert.ok(readSync(device, buffer) > 0)
      closeSync(device)
      assert.notDeepEqual(first, second)
      assert.equal(await swtpm.stop(), 0)
      assert.equal(generators().includes(name), false)
    })
  }
})

describe('PCRs in sysfs', () => {
  it('are those that tpm2_pcrread reads, in every bank', async (t) => {
    const { number, resourceManagerPath } = await startProxyTpm(t)
    const tpm2 = tpm2Tools(`device:${resourceManagerPath}`)
    await tpm2('pcrextend', `16:sha256=${'12'.repeat(32)}`, `0:sha256=${'34'.repeat(32)}`)
    const folder = `/sys/class/tpm/tpm${number}`
    const banks = readdirSync(folder).filter((name) => name.startsWith('pcr-'))
    assert.ok(banks.includes('pcr-sha256'), String(banks))
    const selection = banks.map((bank) => `${bank.slice('pcr-'.length)}:all`).join('+')
    const values = (await tpm2('pcrread', selection)).matchAll(/^ +(\d+) ?: 0x([0-9A-F]+)$/gm)
    const read = [...values].map(([, pcr, value]) => `${pcr} ${value}`)
    const shown = banks.flatMap((bank) =>
      Array.from(
        { length: 24 },
        (_, pcr) => `${pcr} ${readFileSync(`${folder}/${bank}/${pcr}`, 'utf8').trim()}`,
      ),
    )
    assert.deepEqual(read.sort(), shown.sort())
    assert.ok(!shown.includes(`16 ${'0'.repeat(64)}`))
  })
})

describe('the resource manager in the kernel', () => {
  it('serves ten processes at once, each with its own objects and sessions', async (t) => {
    const { resourceManagerPath, path } = await startProxyTpm(t)
    const work = async (index: number): Promise<void> => {
      const client = await TctiClient.connect(t, `device:${resourceManagerPath}`)
      const handles: number[] = []
      for (let round = 0; round < 2; round++) {
        for (const command of [TPM2.createPrimaryEcc, TPM2.startPolicySession]) {
          const made = await client.command(command)
          assert.equal(responseCode(made), 0, `process ${index}`)
          handles.push(made.readUInt32BE(10))
        }
        assert.equal(responseCode(await client.command(TPM2.getRandom(32))), 0)
        const own = handlesIn(await client.command(TPM2.getHandles(0x80000000)))
        assert.equal(own.length, round + 1, `process ${index} sees ${own}`)
        for (const handle of own) {
          assert.equal(responseCode(await client.command(TPM2.readPublic(handle))), 0, `process ${index}`)
        }
      }
      // Every second one dies in the middle of it.
      if (index % 2 === 0) await client.service.stop('SIGKILL')
      else
        for (const handle of handles)
          assert.equal(responseCode(await client.command(TPM2.flushContext(handle))), 0)
    }
    await Promise.all(Array.from({ length: 10 }, (_, index) => work(index)))

    const direct = await TctiClient.connect(t, `device:${path}`)
    for (const first of [0x80000000, 0x02000000, 0x03000000]) {
      const left = async (): Promise<number[]> => handlesIn(await direct.command(TPM2.getHandles(first)))
      await waitFor(async () => (await left()).length === 0, {
        what: `no handle from ${first.toString(16)} on`,
      })
    }
  })
})

describe('suspend to idle', () => {
  it('leaves a TPM that works, with its PCRs', { skip: noSuspend() }, async (t) => {
    const { resourceManagerPath } = await startProxyTpm(t)
    const tpm2 = tpm2Tools(`device:${resourceManagerPath}`)
    await tpm2('pcrextend', `16:sha256=${'12'.repeat(32)}`)
    const before = await tpm2('pcrread', 'sha256:16')
    rehearseSuspend(t)
    assert.equal(await tpm2('pcrread', 'sha256:16'), before)
    assert.match(await tpm2('getrandom', '--hex', '8'), /^[0-9a-f]{16}$/)
  })
})
