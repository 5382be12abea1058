// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the files that are tested have such placeholders
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigFile, userConfigDir } from '../../../../src/programs/common/config-file.ts'

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

test('the environment fills in, an unset name becomes nothing', () => {
  assert.equal(config('a = ${HOME}/x/${NOT_SET}y').value('a'), '/h/x/y')
  assert.equal(config('a = x${HOME').value('a'), 'x${HOME')
  assert.equal(config('a = ${EMPTY}').value('a'), undefined)
})

test('a missing entry is named with its file', () => {
  assert.throws(
    () => config('').required('statedir'),
    /Missing 'statedir' in config file "test.conf": add a line "statedir = …"/,
  )
})

test('env: lines are kept whole', () => {
  assert.deepEqual(config('env:A_1 = b # c\nenv:2=x\n').environmentEntries(), { A_1: 'b # c' })
})

test('XDG_CONFIG_HOME counts when it is absolute', () => {
  assert.equal(userConfigDir({ XDG_CONFIG_HOME: '/xdg' }), '/xdg')
  assert.match(userConfigDir({ XDG_CONFIG_HOME: 'relative' }), /\/\.config$/)
})
