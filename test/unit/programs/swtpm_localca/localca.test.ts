// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the files that are tested have such placeholders
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { splitOptions } from '../../../../src/programs/swtpm_localca/cert-options-file.ts'
import { subjectValue } from '../../../../src/programs/swtpm_localca/run-localca.ts'
import { nextSerial } from '../../../../src/programs/swtpm_localca/serial-number.ts'

/** The largest number that releases before 0.9 can write into a certificate. */
const LARGEST = String(2n ** 63n - 1n)

test('serial numbers count up to what every release can use, and then start at a random place', () => {
  assert.equal(nextSerial('41'), 42n)
  assert.equal(nextSerial('41\n'), 42n)
  assert.equal(nextSerial(String(BigInt(LARGEST) - 1n)), BigInt(LARGEST))
  const ofLaterReleases = '98765432109876543210'
  for (const unusable of [LARGEST, ofLaterReleases, undefined, '', '0', 'x', '-1', '1.5', '9'.repeat(50)]) {
    assert.match(String(nextSerial(unusable)), /^[1-9]\d{17}$/)
  }
})

const options = (text: string, environment = {}): string[] => splitOptions({ path: 'f', text }, environment)

test('an options file is split like a shell splits, quotes and all', () => {
  assert.deepEqual(options('--a b\n  --c "d e"  --f=\'g h\'\n\n--i j"k l"m\n'), [
    ...['--a', 'b', '--c', 'd e', '--f=g h', '--i', 'jk lm'],
  ])
  assert.deepEqual(options('--a "b\n--c'), ['--a', '"b', '--c'])
  assert.deepEqual(options('--a ""'), ['--a', ''])
  assert.deepEqual(options('\uFEFF--a b\r\n# --c "d\r\n--e #f\r\n'), ['--a', 'b', '--e', '#f'])
})

test('the environment fills in options, but not in single quotes', () => {
  assert.deepEqual(options('--a ${X}/b "${X} y" \'${X}\'', { X: '1' }), ['--a', '1/b', '1 y', '${X}'])
  assert.throws(
    () => options('\n--a ${UNSET}'),
    /Cannot use "f", line 2: the environment variable "UNSET" is/,
  )
})

test('a VM ID keeps all its characters but those that part a name', () => {
  assert.equal(subjectValue('vm:1,a+b\\+c'), 'vm:1_a_b\\+c')
})
