import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readOptions } from '../../../../src/programs/common/options/read-options.ts'
import { biosOptions } from '../../../../src/programs/swtpm_bios/bios-options.ts'
import { planOf } from '../../../../src/programs/swtpm_bios/plan.ts'
import { runSequence } from '../../../../src/programs/swtpm_bios/sequence.ts'

const OK_12 = '00c40000000a00000000'
const OK_2 = '80010000000a00000000'

// TPM 1.2, as the C tool sends them.
const STARTUP_CLEAR = '00c10000000c000000990001'
const STARTUP_STATE = '00c10000000c000000990002'
const STARTUP_DEACTIVATED = '00c10000000c000000990003'
const CMD_ENABLE = '00c10000000c4000000a0020'
const PRESENT = '00c10000000c4000000a0008'
const GET_FLAGS = '00c1000000160000006500000004' + '0000000400000108'
const ENABLE = '00c10000000a0000006f'
const ACTIVATE = '00c10000000b0000007200'
const SELF_TEST = '00c10000000a00000053'
const GIVE_UP = '00c10000000c4000000a0014'
const ENABLING = [CMD_ENABLE, PRESENT, ENABLE, ACTIVATE]

const STARTUP_2 = '80010000000c000001440000'
const STARTUP_STATE_2 = '80010000000c000001440001'
const SELF_TEST_2 = '80010000001000000142' + '00000001000b'

interface Run {
  readonly code: number
  readonly sent: string[]
  readonly out: string
  readonly error: string
}

/** @param answers by command, in hexadecimal; a success for the others */
async function run(line: string, answers: { readonly [command: string]: string } = {}): Promise<Run> {
  const sent: string[] = []
  let out = ''
  let error = ''
  const plan = planOf(readOptions(biosOptions, line === '' ? [] : line.split(' '), { singleDash: true }))
  const code = await runSequence(
    plan,
    async (command) => {
      const text = command.toString('hex')
      sent.push(text)
      return Buffer.from(answers[text] ?? (plan.version === '2' ? OK_2 : OK_12), 'hex')
    },
    { out: (text) => (out += `${text}\n`), error: (text) => (error += `${text}\n`) },
  )
  return { code, sent, out, error }
}

describe('swtpm_bios on a TPM 1.2', () => {
  const cases: readonly [line: string, sent: readonly string[]][] = [
    ['', [STARTUP_CLEAR, ...ENABLING]],
    ['-c', [STARTUP_CLEAR, ...ENABLING]],
    ['-s', [STARTUP_STATE, ...ENABLING]],
    ['-d', [STARTUP_DEACTIVATED]],
    ['-n', ENABLING],
    ['-o', [STARTUP_CLEAR]],
    ['-o -c', [STARTUP_CLEAR, ...ENABLING]],
    ['-n -o -cs', [SELF_TEST]],
    ['-n -cs', [...ENABLING, SELF_TEST]],
    ['-u', [STARTUP_CLEAR, ...ENABLING, CMD_ENABLE, GIVE_UP]],
    ['-ea', [STARTUP_CLEAR, CMD_ENABLE, PRESENT, GET_FLAGS, ENABLE, ACTIVATE]],
  ]
  for (const [line, sent] of cases) {
    it(`sends ${sent.length} commands for '${line}'`, async () => {
      assert.deepEqual(await run(line), { code: 0, sent, out: '', error: '' })
    })
  }

  it('reports a refusal, goes on and exits with 128', async () => {
    const refused = { [STARTUP_CLEAR]: '00c40000000a00000026', [CMD_ENABLE]: '00c40000000a0000002d' }
    const { code, sent, error } = await run('-cs', refused)
    assert.equal(code, 128)
    assert.deepEqual(sent, [STARTUP_CLEAR, ...ENABLING, SELF_TEST])
    assert.equal(
      error,
      'TPM_Startup(0x01) returned error code 0x00000026 (TPM_INVALID_POSTINIT)\n' +
        'TSC_PhysicalPresence(CMD_ENABLE) returned error code 0x0000002d (TPM_BAD_PRESENCE)\n',
    )
  })

  const flags = (deactivated: string): string =>
    `00c400000026000000000000001600 1f 00 00 ${deactivated}`.replaceAll(' ', '') + '00'.repeat(17)

  it('exits with 129 and leaves the rest out if a deactivated TPM has been activated', async () => {
    const { code, sent, out } = await run('-ea -cs -u', { [GET_FLAGS]: flags('01') })
    assert.equal(code, 129)
    assert.deepEqual(sent, [STARTUP_CLEAR, CMD_ENABLE, PRESENT, GET_FLAGS, ENABLE, ACTIVATE])
    assert.equal(out, 'TPM requires a reset\n')
  })

  it('goes on if the TPM was active', async () => {
    const { code, sent } = await run('-ea -cs', { [GET_FLAGS]: flags('00') })
    assert.equal(code, 0)
    assert.equal(sent.at(-1), SELF_TEST)
  })
})

describe('swtpm_bios on a TPM 2.0', () => {
  const cases: readonly [line: string, sent: readonly string[]][] = [
    ['--tpm2', [STARTUP_2]],
    ['--tpm2 -s', [STARTUP_STATE_2]],
    ['--tpm2 -d', []],
    ['--tpm2 -n', []],
    ['--tpm2 -cs', [STARTUP_2, SELF_TEST_2]],
    ['--tpm2 -ea -o', [STARTUP_2]],
  ]
  for (const [line, sent] of cases) {
    it(`sends ${sent.length} commands for '${line}'`, async () => {
      assert.deepEqual(await run(line), { code: 0, sent, out: '', error: '' })
    })
  }

  it('gives the platform hierarchy a password that is another one each time', async () => {
    const [first] = (await run('--tpm2 -n -u')).sent
    const [second] = (await run('--tpm2 -n -u')).sent
    const fixed = '800200000031000001294000000c00000009400000090000010000' + '0014'
    assert.equal(first?.slice(0, fixed.length), fixed)
    assert.equal(first?.length, 2 * 0x31)
    assert.notEqual(first, second)
  })

  it('reports a refusal on standard output, as scripts expect', async () => {
    const { code, out, error } = await run('--tpm2', { [STARTUP_2]: '80010000000a00000100' })
    assert.deepEqual(
      { code, out, error },
      { code: 128, out: 'TPM2_Startup returned error code 0x00000100 (TPM_RC_INITIALIZE)\n', error: '' },
    )
  })
})
