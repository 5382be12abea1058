/** Sub-options that name an engine option reach the engine's command line. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { engineArguments } from '../../../../contract/engine-options.ts'
import { engineOptionsOf, type SwtpmSchema } from '../../../../src/command-line/options/engine-settings.ts'
import { engineOptions } from '../../../../src/serve/engine-options.ts'
import { parseSocket } from './command-line.ts'

const argumentsFor = (options: string) =>
  engineArguments(engineOptions(parseSocket(`--tpm2 --ctrl type=tcp,port=1 ${options}`), 3, false))

const cases: [options: string, given: string[], notGiven: string[]][] = [
  ['--tpmstate dir=/d', ['--journal'], ['--mode-given', '--no-sync', '--backup', '--no-auto-shutdown']],
  ['--tpmstate dir=/d,fsync=false,mode=0600', ['--no-sync', '--mode-given', '600'], []],
  ['--tpmstate dir=/d,backup', ['--backup'], ['--journal']],
  ['--tpmstate backend-uri=file:///f', ['linear'], ['--backup', '--journal']],
  [
    '--tpmstate dir=/d --flags disable-auto-shutdown --locality reject-locality-4',
    ['--no-auto-shutdown', '--reject-locality-4'],
    ['--allow-set-locality'],
  ],
]
for (const [options, given, notGiven] of cases) {
  test(`the engine is told of ${options}`, () => {
    const words = argumentsFor(options)
    for (const word of given) assert.ok(words.includes(word), word)
    for (const word of notGiven) assert.ok(!words.includes(word), word)
  })
}

test('engineOptionsOf() passes on what names an engine option, and turns round what begins with "!"', () => {
  const schema = {
    straight: { kind: 'flag', describe: '', engine: 'journal' },
    turned: { kind: 'bool', default: false, describe: '', engine: '!sync' },
    other: { kind: 'flag', describe: '' },
  } as const satisfies SwtpmSchema
  assert.deepEqual(engineOptionsOf(schema, { straight: true, turned: true, other: true }), {
    journal: true,
    sync: false,
  })
})
