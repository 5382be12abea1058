import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readOptions } from '../../../../src/programs/common/options/read-options.ts'

const table = {
  'pcr-banks': { group: 'g', describe: '', value: 'BANKS' },
  tpm: { group: 'g', describe: '', value: 'COMMAND' },
  tpm2: { group: 'g', describe: '' },
  'tpm-state': { group: 'g', describe: '', alias: 'tpmstate', value: 'DIR' },
  files: { group: 'g', describe: '', value: 'CHOICES', valueOptional: true },
  mode: { group: 'g', describe: '', value: 'MODE', choices: ['check', 'force'] },
  new: { group: 'g', describe: '', unabbreviated: true },
  old: { group: 'g', describe: '', alias: 'o', hidden: true },
  help: { group: 'g', describe: '', alias: 'h', otherNames: ['?'], endsReading: true },
} as const

const read = (...argv: string[]) => readOptions(table, argv)

test('a value follows after a blank or an equals sign, whatever it begins with', () => {
  assert.equal(read('--pcr-banks', '-').text('pcr-banks'), '-')
  assert.equal(read('--tpm', '--tpm2').text('tpm'), '--tpm2')
  assert.equal(read('--tpm=a=b').text('tpm'), 'a=b')
  assert.equal(read('--tpm=').text('tpm'), '')
  assert.equal(read('--tpm', 'line 1\nline 2').text('tpm'), 'line 1\nline 2')
})

test('the last use of an option counts, unless all are asked for', () => {
  const options = read('--tpm', 'a', '--tpm', 'b', '--pcr-banks', 'sha1', '--pcr-banks', 'sha256')
  assert.equal(options.text('tpm'), 'b')
  assert.deepEqual(options.all('pcr-banks'), ['sha1', 'sha256'])
})

test('an alias and an unambiguous prefix stand for the option', () => {
  assert.equal(read('--tpmstate', 'd').text('tpm-state'), 'd')
  assert.equal(read('--tpm-s', 'd').text('tpm-state'), 'd')
  assert.equal(read('--pcr', 'sha1').text('pcr-banks'), 'sha1')
  assert.equal(read('--tpm', 'exact wins').text('tpm'), 'exact wins')
  assert.throws(
    () => read('--tp', 'x'),
    /option '--tp' is ambiguous; it could be --tpm, --tpm2, --tpm-state, --tpmstate/,
  )
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
  assert.throws(() => read('--bogus'), /unrecognized option '--bogus'/)
  assert.throws(() => read('-x'), /invalid option '-x'/)
  assert.throws(() => read('--tpm2=1'), /option '--tpm2' doesn't allow an argument/)
  assert.throws(() => read('--tpm'), /option '--tpm' requires an argument/)
  assert.throws(() => read('--mode', 'no'), /--mode: "no" is none of check, force/)
})

test('a single dash is enough where getopt_long_only is the habit', () => {
  assert.ok(readOptions(table, ['-tpm2'], { singleDash: true }).has('tpm2'))
})

test('letters may be put together, and have their value attached', () => {
  const letters = {
    all: { group: 'g', describe: '', alias: 'a' },
    port: { group: 'g', describe: '', alias: 'p', value: 'PORT' },
  } as const
  const given = (...argv: string[]) => readOptions(letters, argv).list.map(({ name, value }) => name + value)
  assert.deepEqual(given('-ap12', '-a'), ['all', 'port12', 'all'])
  assert.deepEqual(given('-ap', '12'), ['all', 'port12'])
})

test('a letter of one option is no value and no name of another', () => {
  assert.equal(read('--tpm', '-h').text('tpm'), '-h')
  assert.ok(read('-?').has('help'))
  assert.throws(() => read('--?'), /unrecognized option/)
})

test('help ends the reading', () => {
  assert.deepEqual(
    read('--help', '--bogus', 'stray').list.map(({ name }) => name),
    ['help'],
  )
})

test('some options must be written out, and hidden ones are not proposed', () => {
  assert.ok(read('--new').has('new'))
  assert.throws(() => read('--ne'), /unrecognized option '--ne'; did you mean '--new'\?/)
  assert.throws(() => read('--olt'), /unrecognized option '--olt'$/)
})

test('a word that belongs to no option is a fault where it is one for the reference', () => {
  assert.throws(() => readOptions(table, ['--tpm2', 'b'], { refuseStrays: true }), /Unknown parameter 'b'/)
})
