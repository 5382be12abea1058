// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the files that are tested have such placeholders
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { userConfigDir } from '../../../../src/programs/common/config-choice.ts'
import { ConfigFile } from '../../../../src/programs/common/config-file.ts'
import { temporaryFolder } from '../swtpm_setup/fixtures.ts'

const config = (text: string) => new ConfigFile('test.conf', text, { HOME: '/h', EMPTY: '' })

test('a value ends at a comment and at trailing blanks', () => {
  assert.equal(config('tool= /usr/bin/x y  # the tool\n').value('tool'), '/usr/bin/x y')
  assert.equal(config('tool =/x').value('tool'), '/x')
})

test('the first line of a name counts, and only a whole name', () => {
  const text = 'create_certs_tool_config = c\ncreate_certs_tool = a\ncreate_certs_tool = b\n'
  assert.equal(config(text).value('create_certs_tool'), 'a')
  assert.equal(config(text).value('create_certs'), undefined)
  assert.equal(config('# tool = x\n tool = y').value('tool'), undefined)
})

test('the environment fills in', () => {
  assert.equal(config('a = ${HOME}/x/${HOME}y').value('a'), '/h/x//hy')
})

test('a variable that is not there is an error with file, line and name', () => {
  const text = '# first\na = ${HOME}/x/${NOT_SET}y\nb = ${EMPTY}/x\nc = x${HOME\nd = 1\n'
  assert.throws(
    () => config(text).value('a'),
    /Cannot use "test.conf", line 2: the environment variable "NOT_SET" is not set; set it, or /,
  )
  assert.throws(
    () => config(text).value('b'),
    /"test.conf", line 3: the environment variable "EMPTY" is empty/,
  )
  assert.throws(() => config(text).required('c'), /"test.conf", line 4: "\$\{HOME" has no closing "\}"/)
  assert.equal(config(text).value('d'), '1')
})

test('a missing entry is named with its file, and with what was meant', () => {
  assert.throws(
    () => config('').required('statedir'),
    /Cannot use config file "test.conf": 'statedir' is missing; add a line "statedir = …"/,
  )
  assert.throws(() => config('statedir =\n').required('statedir'), /line 1 sets 'statedir' to nothing; add/)
  assert.throws(() => config('\nsatedir = x').required('statedir'), /is missing; line 2 sets 'satedir'; add/)
})

test('a file may come from another system', () => {
  const text = '\uFEFFstatedir = /x\r\nenv:A = b\r\n'
  assert.equal(config(text).value('statedir'), '/x')
  assert.deepEqual(config(text).environmentEntries(), { A: 'b' })
  assert.deepEqual(config(text).ignored(['statedir']), [])
})

test('what is ignored is told with its line', () => {
  const text = ['# c', 'a = 1', '', 'a = 2', 'statdir = x', 'xyzzy = 1', ' a = 3', 'a 4', 'env:X=1', '[a]']
  assert.deepEqual(config(text.join('\n')).ignored(['a', 'statedir']), [
    `Ignoring line 4 of "test.conf": line 2 sets 'a' already`,
    `Ignoring line 5 of "test.conf": there is no setting 'statdir'; did you mean 'statedir'?`,
    `Ignoring line 6 of "test.conf": there is no setting 'xyzzy'`,
    ...[7, 8, 10].map((line) => `Ignoring line ${line} of "test.conf": it is not of the form "name = value"`),
  ])
})

test('a file that cannot be used is named, with the reason and what to do', (t) => {
  const folder = temporaryFolder(t)
  const utf16 = join(folder, 'utf16')
  writeFileSync(utf16, 'statedir = /x\n', 'utf16le')
  for (const [path, reason] of [
    [folder, /: illegal operation on a directory/],
    [join(folder, 'none'), /: no such file or directory/],
    [join(utf16, 'x'), /: not a directory/],
    [join(folder, 'x'.repeat(300)), /: name too long/],
    [utf16, /: it is no text in UTF-8/],
  ] as const) {
    assert.throws(
      () => ConfigFile.read(path),
      ({ message }: Error) =>
        message.includes(`config file "${path}"`) &&
        reason.test(message) &&
        message.includes('`swtpm_setup --create-config-files skip-if-exist'),
    )
  }
})

test('env: lines are kept whole', () => {
  assert.deepEqual(config('env:A_1 = b # c\nenv:2=x\n').environmentEntries(), { A_1: 'b # c' })
})

test('XDG_CONFIG_HOME counts when it is absolute', () => {
  assert.equal(userConfigDir({ XDG_CONFIG_HOME: '/xdg' }), '/xdg')
  assert.match(userConfigDir({ XDG_CONFIG_HOME: 'relative' }) ?? '', /\/\.config$/)
})
