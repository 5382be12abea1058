/** Does it last, on a real kernel's devices. Several TPMs at once, since the vTPM proxy's driver looks once a millisecond. */
import { describe, it } from 'node:test'
import { figure, scaled } from '../../hard/support/scale.ts'
import { describeSoak, soak } from '../../hard/support/soak.ts'
import { startCuseTpm } from '../../support/cuse-tpm.ts'
import { startProxyTpm } from '../../support/proxy-tpm.ts'
import { IS_ASLEEP_FORM } from '../../support/rest.ts'

/** An emulated processor takes so many in half an hour or so; SWTPM_SOAK sets another number. */
const commands = Number(process.env.SWTPM_SOAK ?? scaled(IS_ASLEEP_FORM ? 800 : 2_000, 2_000_000))
const ARGS = ['--tpm2', '--flags', 'startup-clear']

describe('soak', () => {
  for (const [kind, tpms, start] of [
    ['cuse', 2, startCuseTpm],
    ['device', 4, startProxyTpm],
  ] as const) {
    const name = kind === 'cuse' ? 'CUSE' : 'vTPM proxy'
    it(`${commands} commands over ${name}`, async (t) => {
      const started = []
      for (let i = 0; i < tpms; i++) started.push(await start(t, ARGS))
      const results = await Promise.all(
        started.map(({ swtpm, path }) => soak(swtpm.pid, kind, path, commands / tpms)),
      )
      figure(`soak, ${name}`, describeSoak(results))
    })
  }
})
