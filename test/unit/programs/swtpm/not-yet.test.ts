/** What the command line can say before the program can do it: claimed and obeyed, or neither. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notYet } from '../../../../src/programs/swtpm/options/not-yet.ts'
import { parse, refusal } from './command-line.ts'

const options: [verb: string, option: string, message: string][] = [
  ['cmdarg-pcap', '--tpmstate dir=/d --pcap file=/p', '--pcap is not supported by this version'],
  ['cmdarg-profile', '--tpmstate dir=/d --profile name=null', '--profile is not supported by this version'],
  [
    'nvram-backend-file',
    '--tpmstate backend-uri=file:///f',
    '--tpmstate: backend-uri=file:// is not supported by this version; use dir=DIR',
  ],
]
for (const [verb, option, message] of options) {
  const line = `swtpm socket -p 1 ${option}`
  if (notYet.has(verb)) {
    test(`without ${verb}, ${option} is refused`, () => {
      assert.deepEqual(refusal(line), { message, exitCode: 1 })
    })
  } else {
    test(`with ${verb}, ${option} is taken`, () => assert.equal(parse(line).action, 'run'))
  }
}
