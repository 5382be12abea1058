import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCommandLine } from '../../../../src/programs/common/read-command-line.ts'

const table = {
  'pcr-banks': { group: 'g', describe: '', value: 'BANKS', repeatable: true },
  tpm: { group: 'g', describe: '', value: 'COMMAND' },
  tpm2: { group: 'g', describe: '' },
  'tpm-state': { group: 'g', describe: '', alias: 'tpmstate', value: 'DIR' },
  files: { group: 'g', describe: '', value: 'CHOICES', valueOptional: true },
  mode: { group: 'g', describe: '', value: 'MODE', choices: ['check', 'force'] },
} as const

const read = (...argv: string[]) => readCommandLine(table, argv)

test('a value follows after a blank or an equals sign, whatever it begins with', () => {
  assert.equal(read('--pcr-banks', '-').text('pcr-banks'), '-')
  assert.equal(read('--tpm', '--tpm2').text('tpm'), '--tpm2')
  assert.equal(read('--tpm=a=b').text('tpm'), 'a=b')
  assert.equal(read('--tpm=').text('tpm'), '')
  assert.equal(read('--tpm', 'line 1\nline 2').text('tpm'), 'line 1\nline 2')
})

test('the last use of an option counts, unless each one does', () => {
  const options = read('--tpm', 'a', '--tpm', 'b', '--pcr-banks', 'sha1', '--pcr-banks', 'sha256')
  assert.equal(options.text('tpm'), 'b')
  assert.deepEqual(options.all('pcr-banks'), ['sha1', 'sha256'])
})

test('an alias and an unambiguous prefix stand for the option', () => {
  assert.equal(read('--tpmstate', 'd').text('tpm-state'), 'd')
  assert.equal(read('--tpm-s', 'd').text('tpm-state'), 'd')
  assert.equal(read('--pcr', 'sha1').text('pcr-banks'), 'sha1')
  assert.equal(read('--tpm', 'exact wins').text('tpm'), 'exact wins')
  assert.throws(() => read('--tp', 'x'), /ambiguous: it may be --tpm, --tpm2, --tpm-state, --tpmstate/)
})

test('an optional value is not taken from the next option', () => {
  const options = read('--files', '--tpm2')
  assert.equal(options.text('files'), '')
  assert.ok(options.has('tpm2'))
  assert.equal(read('--files', 'overwrite').text('files'), 'overwrite')
})

test('what belongs to no option is kept apart', () => {
  assert.deepEqual(read('a', '--tpm2', 'b', '--', '--tpm').strays, ['a', 'b', '--tpm'])
})

test('a fault names the option and what is allowed', () => {
  assert.throws(() => read('--bogus'), /Unknown option "--bogus"/)
  assert.throws(() => read('-x'), /Unknown option "-x"/)
  assert.throws(() => read('--tpm2=1'), /--tpm2 takes no value, but got "1"/)
  assert.throws(() => read('--tpm'), /--tpm needs a value: --tpm COMMAND/)
  assert.throws(() => read('--mode', 'no'), /--mode does not know "no"; it takes check, force/)
})

test('a single dash is enough where getopt_long_only is the habit', () => {
  assert.ok(readCommandLine(table, ['-tpm2'], { singleDash: true }).has('tpm2'))
})
