import assert from 'node:assert/strict'
import { it } from 'node:test'
import { fleetTpm } from '../../../../../src/programs/swtpm/fleet/fleet-tpm-config.ts'

it('a TPM of a fleet keeps the rules of its command line', () => {
  const rules = ['GetRandom#1: rc=RETRY', '*: delay=1ms']
  const words = ['socket', '--tpm2', '--tpmstate', 'dir=state', '--server', 'type=unixio,path=data']
  const log = { destination: { kind: 'stderr' }, level: 1, prefix: '', format: 'text' } as const
  const config = fleetTpm('a', [...words, ...rules.flatMap((rule) => ['--fault', rule])], '/work', {
    log,
    seccomp: 'kill' as never,
    runAs: undefined,
  })
  assert.deepEqual(config.script?.faults, rules)
})
