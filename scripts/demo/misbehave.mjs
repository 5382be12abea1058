// A TPM for the length of one command, which is busy when it is asked for something: what tests of TPM software need.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { mustEqual } from './walkthrough.mjs'

const TRACE = 'trace.txt'

/** @param {import('./walkthrough.mjs').Walkthrough} walkthrough */
export async function misbehave(walkthrough) {
  walkthrough.heading('A TPM for the length of a command, sound and with a fault')
  await walkthrough.run('swtpm run -- tpm2_getrandom --hex 8', (stdout) => `random bytes ${stdout.trim()}`)
  await walkthrough.run(
    `swtpm run --fault 'GetRandom#1-2: rc=RETRY' --trace ${TRACE} -- tpm2_getrandom --hex 8`,
    (stdout) => {
      const trace = readFileSync(path.join(walkthrough.cwd, TRACE), 'utf8')
      const answers = [...trace.matchAll(/GetRandom .*→ ([A-Z]+)/g)].map(([, name]) => name)
      mustEqual('answers to GetRandom', answers.join(), 'RETRY,RETRY,SUCCESS')
      return `busy twice, asked a third time: ${stdout.trim()}`
    },
  )
}
