#!/usr/bin/env node
// The test runner's half inside the virtual machine: runs the files named on its command line, reports on stdout.

import { runFiles } from './run-files.mjs'

/** @type {{ files: string[], options: import('./run-files.mjs').RunOptions }} */
const { files, options } = JSON.parse(process.argv[2])

await runFiles(files, options, (record) => process.stdout.write(`${JSON.stringify(record)}\n`))
