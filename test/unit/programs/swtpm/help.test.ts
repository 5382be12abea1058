import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { CommandLineError } from '../../../../src/command-line/exit/command-line-error.ts'
import { optionsOf, optionTable } from '../../../../src/command-line/options/table.ts'
import { parseCommandLine } from '../../../../src/command-line/parse/parse-command-line.ts'
import { usageText } from '../../../../src/programs/common/options/usage-error.ts'
import { interfaceHelp } from '../../../../src/programs/swtpm/help/interface-help.ts'
import { programHelp } from '../../../../src/programs/swtpm/help/program-help.ts'
import { topics } from '../../../../src/programs/swtpm/help/topics.ts'
import { SUBCOMMANDS } from '../../../../src/programs/swtpm/subcommands.ts'
import { INTERFACES } from '../../../../src/serve/config.ts'
import { bin } from '../../../support/swtpm.ts'
import { parse } from './command-line.ts'

for (const iface of INTERFACES) {
  test(`help of ${iface} names every option, sub-option and value`, async () => {
    const text = await interfaceHelp(iface, 100)
    for (const [name, row] of optionsOf(iface)) {
      assert.ok(text.includes(row.alias ? `-${row.alias}, --${name} ` : `    --${name} `), name)
      for (const sub of Object.keys(row.sub ?? {})) assert.match(text, new RegExp(`\\n +${sub}[=\\[ ]`))
    }
    for (const heading of ['Usage: swtpm', 'Examples:', 'Environment:', 'Exit codes:', 'See also:']) {
      assert.ok(text.includes(heading), heading)
    }
  })

  test(`help of ${iface} fits the terminal and has ordinary blanks`, async () => {
    const text = await interfaceHelp(iface, 90)
    assert.doesNotMatch(text, /\u00a0/)
    const tooLong = text
      .slice(0, text.indexOf('\nExamples:'))
      .split('\n')
      .filter((line) => line.length > 90)
    assert.deepEqual(tooLong, [])
  })

  test(`the examples of ${iface} are command lines that work`, () => {
    for (const { command } of topics[iface].examples) {
      if (command.startsWith('swtpm ')) assert.equal(parse(command).action, 'run')
    }
  })
}

test('the help of the program names the three interfaces', () => {
  assert.match(programHelp(), /Usage: swtpm socket\|chardev\|cuse \[options\]/)
})

test('the help of the program says what each first word is for', () => {
  for (const name of SUBCOMMANDS.keys()) assert.match(programHelp(), new RegExp(`^  ${name} `, 'm'))
})

for (const name of SUBCOMMANDS.keys()) {
  test(`swtpm ${name} --help ends with one line break`, () => {
    const { status, stdout } = spawnSync(bin('swtpm'), [name, '--help'], { encoding: 'utf8' })
    assert.equal(status, 0)
    assert.match(stdout, /[^\n]\n$/)
  })
}

test('an error shows how the option is written and where to read on', () => {
  assert.equal(
    errorText(['--tpmstate', 'dir=/d,mode=888']),
    [
      'swtpm: --tpmstate: mode "888" is not an octal number up to 0777',
      'Usage: --tpmstate dir=DIR|backend-uri=URI[,mode=MODE][,lock[=BOOL]][,backup[=BOOL]][,fsync[=BOOL]][,journal[=BOOL]]',
      "Try 'swtpm cuse --help' for more.",
      '',
    ].join('\n'),
  )
  assert.equal(
    errorText(['--nonsense']),
    "swtpm: unrecognized option '--nonsense'\nTry 'swtpm cuse --help' for more.\n",
  )
})

test('an error of a number shows its option too', () => {
  assert.match(errorText(['--print-info', 'x']), /\nUsage: --print-info FLAGS\n/)
})

function errorText(argv: string[]): string {
  try {
    parseCommandLine(['-n', 'v', ...argv], {}, 'cuse')
  } catch (error) {
    assert.ok(error instanceof CommandLineError)
    return usageText('swtpm', 'swtpm cuse', error, optionTable)
  }
  assert.fail('accepted')
}
