/** `swtpm ktest --suite FILE.mjs`: rows of the user, one of each outcome, in one machine. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { runKtest } from '../support/ktest.ts'
import { withoutQemu } from '../support/qemu-image.ts'
import { temporaryDirectory } from '../support/swtpm.ts'

const SUITE = `
import assert from 'node:assert/strict'

const GET_RANDOM = '80010000000c0000017b0008'

export default [
  {
    name: 'asked_again',
    rules: ['GetRandom[bytesRequested=8]#1-2: rc=RETRY'],
    judge({ tpm }) {
      const response = tpm.open(tpm.device).exchange(GET_RANDOM)
      if (typeof response === 'string') return response
      assert.equal(response.length, 20)
    },
  },
  {
    name: 'mute',
    fix: 'tpm: wait for a TPM that says nothing',
    rules: ['ReadClock: hangup'],
    judge({ tpm }) {
      const response = tpm.open(tpm.device).exchange('80010000000a00000181')
      return typeof response !== 'string' || 'ReadClock: ' + response
    },
  },
  { name: 'thrown', judge: ({ tpm }) => assert.equal(tpm.resourceManager, '/dev/null') },
  {
    name: 'old',
    version: '1.2',
    judge: ({ tpm }) => typeof tpm.open(tpm.device).exchange('00c10000000e0000004600000008') !== 'string',
  },
  { name: 'skipped', judge: () => ({ skip: 'it is Sunday' }) },
  {
    name: 'no_device',
    rules: ['SelfTest: rc=FAILURE'],
    judge: ({ tpm }) => tpm === undefined || 'there is a device',
  },
]
`

it('judges the rows of a module, and says so as KTAP', { skip: withoutQemu }, async (t) => {
  const suite = join(temporaryDirectory(t), 'rows.mjs')
  writeFileSync(suite, SUITE)
  const { code, stdout, stderr } = await runKtest(['--suite', suite])
  assert.equal(code, 1, stderr)
  const lines = stdout.split('\n')
  assert.deepEqual(
    lines.filter((line) => !line.startsWith('# thrown') && !/^[+-]|^$/.test(line)),
    [
      'KTAP version 1',
      '1..6',
      'ok 1 asked_again',
      '# mute: ReadClock: ECANCELED',
      'not ok 2 mute # missing: tpm: wait for a TPM that says nothing',
      'not ok 3 thrown',
      'ok 4 old',
      'ok 5 skipped # SKIP it is Sunday',
      'ok 6 no_device',
      '# Totals: pass:3 fail:2 xfail:0 xpass:0 skip:1 error:0',
    ],
    stderr,
  )
  assert.match(stdout, /^# thrown: .*strictly equal/m)
})

/** Module → what is said of it, before anything is booted. */
const REFUSED: readonly (readonly [module: string, fault: RegExp])[] = [
  ['export default 7', /its default export is no list of rows/],
  ['export default [{ name: "a b", judge() {} }]', /row 1 of it has no name of letters/],
  ['export default [{ name: "a" }]', /row 1 of it, "a", has no function judge\(\)/],
  [
    'export default [{ name: "a", rules: ["GetRandum: rc=RETRY"], judge() {} }]',
    /no command "GetRandum"; did you mean GetRandom\?/,
  ],
  ['export default [1, 2].map(() => ({ name: "a", judge() {} }))', /two of its rows are called "a"/],
]

for (const [module, fault] of REFUSED) {
  it(`refuses ${module}`, async (t) => {
    const suite = join(temporaryDirectory(t), 'rows.mjs')
    writeFileSync(suite, module)
    const { code, stderr } = await runKtest(['--suite', suite])
    assert.match(stderr, fault)
    assert.equal(code, 125)
  })
}
