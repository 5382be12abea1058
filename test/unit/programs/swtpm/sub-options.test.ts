import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandLineError } from '../../../../src/command-line/exit/command-line-error.ts'
import { parseSubOptions } from '../../../../src/command-line/parse/sub-options.ts'
import type { SubOptionSchema } from '../../../../src/programs/common/options/sub-option.ts'

const schema = {
  text: { kind: 'string', describe: '' },
  number: { kind: 'uint', max: 100, describe: '', metavar: 'N' },
  mode: { kind: 'octal', describe: '', metavar: 'MODE' },
  bool: { kind: 'bool', default: false, describe: '' },
  flag: { kind: 'flag', describe: '' },
  choice: { kind: 'enum', choices: ['one', 'two'], describe: '' },
  owner: { kind: 'owner', describe: '' },
} as const satisfies SubOptionSchema

const parse = (list: string) => parseSubOptions('pid', list, schema)

const accepted: [list: string, values: object][] = [
  ['text=a', { text: 'a' }],
  ['text=a=b', { text: 'a=b' }],
  ['text= a ', { text: ' a ' }],
  ['text=a,number=7,flag', { text: 'a', number: 7, flag: true }],
  ['number=007', { number: 7 }],
  ['mode=0600', { mode: 0o600 }],
  ['mode=600', { mode: 0o600 }],
  ['mode=0', { mode: 0 }],
  ['mode=0777', { mode: 0o777 }],
  ['bool', { bool: true }],
  ['bool=true', { bool: true }],
  ['bool=TRUE', { bool: true }],
  ['bool=1', { bool: true }],
  ['bool=false', { bool: false }],
  ['bool=0', { bool: false }],
  ['flag=false', { flag: false }],
  ['choice=two', { choice: 'two' }],
  ['owner=0', { owner: { id: 0 } }],
  ['owner=tss', { owner: { name: 'tss' } }],
  ['owner=-1', { owner: { name: '-1' } }],
  ['text={}', { text: '{}' }],
  ['text={"a":1,"b":{"c":2}},flag', { text: '{"a":1,"b":{"c":2}}', flag: true }],
  ['flag,text={"a":"},\\"{"}', { flag: true, text: '{"a":"},\\"{"}' }],
  ['text=a{b,flag', { text: 'a{b', flag: true }],
]
for (const [list, values] of accepted) {
  test(`parseSubOptions() reads "${list}"`, () => assert.deepEqual(parse(list), values))
}

const known = 'text, number, mode, bool, flag, choice, owner'
const refused: [list: string, message: string][] = [
  ['', `an item is empty; known are ${known}`],
  ['flag,', `an item is empty; known are ${known}`],
  ['flag,,bool', `an item is empty; known are ${known}`],
  ['nonsense', `"nonsense" is unknown; known are ${known}`],
  ['toString', `"toString" is unknown; known are ${known}`],
  ['__proto__=1', `"__proto__" is unknown; known are ${known}`],
  ['numer=1', '"numer" is unknown; did you mean "number"?'],
  ['flag,flag', 'flag is given more than once'],
  ['text=a,text=a', 'text is given more than once'],
  ['text', 'text needs a value: text=VALUE'],
  ['text=', 'text needs a value: text=VALUE'],
  ['number', 'number needs a value: number=N'],
  ['choice', 'choice needs a value: choice=one|two'],
  ['number=-1', 'number "-1" is not a decimal number from 0 to 100'],
  ['number=101', 'number "101" is not a decimal number from 0 to 100'],
  ['number=0x10', 'number "0x10" is not a decimal number from 0 to 100'],
  ['number=5 ', 'number "5 " is not a decimal number from 0 to 100'],
  ['number=99999999999999999999', 'number "99999999999999999999" is not a decimal number from 0 to 100'],
  ['mode=888', 'mode "888" is not an octal number up to 0777'],
  ['mode=01000', 'mode "01000" is not an octal number up to 0777'],
  ['mode=rw', 'mode "rw" is not an octal number up to 0777'],
  ['bool=yes', 'bool "yes" is neither true (or 1) nor false (or 0)'],
  ['bool=', 'bool "" is neither true (or 1) nor false (or 0)'],
  ['choice=three', 'choice "three" is none of one, two'],
  ['text={"a":1', 'text: the closing brace is missing'],
  ['text={"a":"}"', 'text: the closing brace is missing'],
  ['text={}x', 'text: "x" after the closing brace, expected a comma'],
]
for (const [list, message] of refused) {
  test(`parseSubOptions() refuses "${list}"`, () => {
    assert.throws(
      () => parse(list),
      (error) => error instanceof CommandLineError && error.message === `--pid: ${message}`,
    )
  })
}
