import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { tpmDescriptions } from '../../../../../src/programs/swtpm/ktest/tpm-description.ts'

describe('--tpm of swtpm ktest', () => {
  it('is one vtpm where nothing is said', () => {
    assert.deepEqual(tpmDescriptions([]), [
      { index: 0, name: '0', kind: 'vtpm', version: '2.0', options: [] },
    ])
  })

  it('has names, versions, modes and seeds', () => {
    assert.deepEqual(tpmDescriptions(['vtpm', 'old=tis,1.2,mode=slow=discrete,mode=failure,seed=3']), [
      { index: 0, name: '0', kind: 'vtpm', version: '2.0', options: [] },
      {
        ...{ index: 1, name: 'old', kind: 'tis', version: '1.2' },
        options: ['--mode', 'slow=discrete', '--mode', 'failure', '--seed-insecure', '3'],
      },
    ])
  })

  it('leaves the commas of a rule to the rule', () => {
    const rule = 'GetCapability[capability=PCRS,from=driver]#1: delay=5ms,rc=RETRY'
    const [tpm] = tpmDescriptions([`crb,fault=${rule},fault=Clear: drop,seed=1`])
    assert.deepEqual(tpm?.options, ['--fault', rule, '--fault', 'Clear: drop', '--seed-insecure', '1'])
  })
})
