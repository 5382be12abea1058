/** One wording for a mistyped word, and the word that was meant. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readOptions } from '../../../../src/programs/common/options/read-options.ts'
import { unknownVerb } from '../../../../src/programs/common/options/unknown-verb.ts'
import { interfaceError } from '../../../../src/programs/swtpm/help/program-help.ts'

test('a mistyped verb names the one that was meant, another word all of them', () => {
  const verbs = ['add', 'remove', 'list']
  assert.equal(unknownVerb('lst', verbs).message, 'Unknown verb "lst"; did you mean "list"?')
  assert.equal(unknownVerb('bogus', verbs).message, 'Unknown verb "bogus": add, remove, list')
  assert.equal(unknownVerb(undefined, verbs).message, 'Missing verb: add, remove, list')
})

test('a mistyped value names the one that was meant, and so does an alias', () => {
  const table = {
    mode: { value: 'MODE', choices: ['check', 'force'], group: '', describe: '' },
    h: { alias: 'help', group: '', describe: '' },
  }
  assert.throws(() => readOptions(table, ['--mode', 'chek']), {
    message: '--mode: "chek" is none of check, force; did you mean "check"?',
  })
  assert.throws(() => readOptions(table, ['--hepl'], { singleDash: true }), {
    message: "unrecognized option '--hepl'; did you mean '--help'?",
  })
})

test('a mistyped first word gets two lines, a missing one the whole help', () => {
  assert.equal(
    interfaceError('soket', ['socket', 'cuse']),
    `swtpm: Unsupported TPM interface type 'soket'; did you mean "socket"?\nTry 'swtpm --help' for more.\n`,
  )
  assert.match(interfaceError(undefined, []), /^Missing TPM interface type\.\nTPM emulator .*\nUsage: /s)
})
