#!/usr/bin/env node
// `npm run bench`: sets up what is missing, then measures swtpm beside the C program and the limits.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { BUILT_TESTS, buildTests } from './build.mjs'
import { runMain, say, step } from './lib/terminal.mjs'
import { setUp } from './setup.mjs'
import { KERNEL_SERIES } from './vm/kernel.mjs'

const USAGE = `Usage: npm run bench [-- OPTION…]

Measures this swtpm, Debian's, and what limits both: libtpms called in a loop ("direct"), and a server that
echoes on the same transport ("echo"). All take turns in small batches, so that a busy moment hits all alike;
figures are medians with the range from p10 to p90, and ratios to the C program. Prints the tables and writes them,
with plots, into docs/benchmarks. All of it takes a quarter of an hour.

  --quick           fewer commands, fewer rounds: less than two minutes
  --reference PATH  measure another build of the C swtpm too, with its swtpm_cuse if that is there: the program, or
                    the directory it was built in or installed into. Ratios are to it instead of Debian's
  --only PART,…     only these:
                      unix, tcp    commands over a Unix socket and TCP; client and server on one processor
                      verbs        verbs on the control channel
                      cancel       from a CANCEL during the making of an RSA key to the end of the command
                      calls        system calls per command
                      start        from exec to the first answer, beside bare Node
                      memory       of 1, 10, 50 and 200 TPMs
                      throughput   commands per second of 1, 8 and 50 TPMs at once
                      vm           /dev/tpm0, /dev/tpmrm0, /dev/vtpm0 and the Unix socket in a virtual machine
                                   whose clock counts instructions, so that times repeat within 1 %
  --record          measure what \`npm test\` compares with instead, and write it to test/bench/recorded.json
  --output DIR      write there instead
  --help            this

docs/benchmarks/README.md says what the figures mean.`

runMain(async () => {
  const args = process.argv.slice(2)
  if (args.includes('--help')) {
    say(USAGE)
    return 0
  }
  await setUp({ needs: ['vm', 'bench'], kernels: KERNEL_SERIES.slice(0, 1) })
  await step('Bundle the benchmark', buildTests)
  const bench = spawn(process.execPath, [path.join(BUILT_TESTS, 'bench/main.js'), ...args], {
    stdio: 'inherit',
  })
  const [status] = await once(bench, 'exit')
  return status ?? 1
})
