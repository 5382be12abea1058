import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readOptions } from '../../../../src/programs/common/options/read-options.ts'
import { biosOptions } from '../../../../src/programs/swtpm_bios/bios-options.ts'
import { ioctlOptions } from '../../../../src/programs/swtpm_ioctl/ioctl-options.ts'

/** A command line's reading in one string: options with their arguments, then the strays. */
function read(line: string): string {
  const { list, strays } = readOptions(ioctlOptions, line.split(' '), { singleDash: true })
  const options = list.map(({ name, value, operand }) => [name, value, operand].filter(Boolean).join(' '))
  return [...options, ...strays.map((stray) => `[${stray}]`)].join(', ')
}

describe('readOptions() with a single dash', () => {
  const accepted: readonly [line: string, reading: string][] = [
    ['-c /dev/vtpm0', 'c, [/dev/vtpm0]'],
    ['--c --unix /x', 'c, unix /x'],
    ['-unix=/x -stop', 'unix /x, stop'],
    ['--stop', 'stop'],
    ['-sto', 'stop'],
    ['-s', 's'],
    ['-l 3', 'l 3'],
    ['-l=3', 'l 3'],
    ['-C -c', 'C, c'],
    ['-h -', 'h -'],
    ['-h -1', 'h -1'],
    ['-h --', 'h --'],
    ['--save permanent file /dev/vtpm0', 'save permanent file, [/dev/vtpm0]'],
    ['/dev/vtpm0 --save permanent file', 'save permanent file, [/dev/vtpm0]'],
    ['--load=volatile file', 'load volatile file'],
    ['--lock 5', 'lock-storage 5'],
    ['--vers -c', 'version'],
    ['--help --nonsense', 'help'],
    ['-c -- --stop', 'c, [--stop]'],
    ['-c -', 'c, [-]'],
  ]
  for (const [line, reading] of accepted) {
    it(`reads ${line}`, () => assert.equal(read(line), reading))
  }

  const refused: readonly [line: string, message: string][] = [
    ['--bogus', "unrecognized option '--bogus'"],
    ['-cc', "unrecognized option '-cc'; did you mean '-c'?"],
    ['-l3', "unrecognized option '-l3'; did you mean '-l'?"],
    ['-h', "option '-h' requires an argument"],
    ['-c=1', "option '-c' doesn't allow an argument"],
    ['--lo 1', "option '--lo' is ambiguous; it could be --load, --lock-storage"],
    ['--save permanent', 'Missing filename argument for --save option'],
    ['--load permanent -c', 'Missing filename argument for --load option'],
  ]
  for (const [line, message] of refused) {
    it(`refuses ${line}`, () => assert.throws(() => read(line), { name: 'UsageError', message }))
  }

  it('has -cs as an option of its own, not as -c and -s', () => {
    const { list } = readOptions(biosOptions, ['-cs', '--ea', '-c'], { singleDash: true })
    assert.deepEqual(
      list.map(({ name }) => name),
      ['cs', 'ea', 'c'],
    )
  })

  it('has --help and --version beside the letters of swtpm_bios', () => {
    const read = (word: string) => readOptions(biosOptions, [word], { singleDash: true }).list[0]?.name
    assert.deepEqual(['--help', '-h', '--he', '--version', '-v'].map(read), ['h', 'h', 'h', 'v', 'v'])
  })
})
