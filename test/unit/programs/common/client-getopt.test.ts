import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { getopt } from '../../../../src/programs/common/client/getopt-long-only.ts'
import { biosOptions } from '../../../../src/programs/swtpm_bios/bios-options.ts'
import { ioctlOptions } from '../../../../src/programs/swtpm_ioctl/ioctl-options.ts'

/** A command line's reading in one string: options with their arguments, then the strays. */
function read(line: string): string {
  const { given, strays } = getopt('swtpm_ioctl', ioctlOptions, ['help', 'version'], line.split(' '))
  const options = given.map(({ name, value, operand }) => [name, value, operand].filter(Boolean).join(' '))
  return [...options, ...strays.map((stray) => `[${stray}]`)].join(', ')
}

describe('getopt()', () => {
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
    ['--bogus', "swtpm_ioctl: unrecognized option '--bogus'; --help lists the options"],
    ['-cc', "swtpm_ioctl: unrecognized option '-cc'; --help lists the options"],
    ['-l3', "swtpm_ioctl: unrecognized option '-l3'; --help lists the options"],
    ['-h', "swtpm_ioctl: option '-h' requires an argument"],
    ['-c=1', "swtpm_ioctl: option '-c' doesn't allow an argument"],
    ['--lo 1', "swtpm_ioctl: option '--lo' is ambiguous; possibilities: '--load' '--lock-storage'"],
    ['--save permanent', 'Missing filename argument for --save option'],
    ['--load permanent -c', 'Missing filename argument for --load option'],
  ]
  for (const [line, message] of refused) {
    it(`refuses ${line}`, () => assert.throws(() => read(line), { message, exitCode: 1 }))
  }

  it('has -cs as an option of its own, not as -c and -s', () => {
    const { given } = getopt('swtpm_bios', biosOptions, [], ['-cs', '--ea', '-c'])
    assert.deepEqual(
      given.map(({ name }) => name),
      ['cs', 'ea', 'c'],
    )
  })
})
