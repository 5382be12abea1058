#!/usr/bin/env node
// The main job: two TPMs, one made by the kernel's vTPM proxy and one by CUSE, at work under tpm2-tools; and a third that is
// told to misbehave.
// Runs as root where /dev/vtpmx and /dev/cuse are; start.mjs finds or makes such a place.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { CuseTpm } from './demo/cuse-tpm.mjs'
import { misbehave } from './demo/misbehave.mjs'
import { ProxyTpm } from './demo/proxy-tpm.mjs'
import { tour } from './demo/tour.mjs'
import { Walkthrough } from './demo/walkthrough.mjs'
import { INTERACTIVE_SHELL } from './lib/interactive-shell.mjs'
import { projectRoot } from './lib/paths.mjs'
import { bold, dim, green, runMain, seconds } from './lib/terminal.mjs'

runMain(async () => {
  const { values } = parseArgs({
    options: { shell: { type: 'boolean', default: false }, transcript: { type: 'string' } },
  })
  const started = performance.now()
  const cwd = await mkdtemp(path.join(os.tmpdir(), 'swtpm-demo-'))
  const env = { ...process.env, PATH: `${path.join(projectRoot, 'bin')}:${process.env.PATH}` }
  const walkthrough = new Walkthrough({ cwd, env })
  console.log(dim(`Linux ${os.release()}, working in ${cwd}`))

  const tpms = [new ProxyTpm(), new CuseTpm()]
  try {
    for (const tpm of tpms) await tour(tpm, walkthrough)
    await misbehave(walkthrough)
    if (!values.shell) for (const tpm of tpms) await tpm.stop(walkthrough)
    const devices = tpms.map(({ device }) => device).join(' and ')
    console.log(
      `\n${green('✓')} ${bold(`${devices}: all ${walkthrough.stepCount} steps held`)} (${seconds(started)})`,
    )
    if (values.transcript) await writeFile(values.transcript, JSON.stringify(walkthrough.shown))
    if (values.shell) await shell(walkthrough, tpms)
  } finally {
    for (const tpm of tpms) await tpm.abandon()
    await rm(cwd, { recursive: true, force: true })
  }
})

/** @param {Walkthrough} walkthrough @param {import('./demo/tour.mjs').DemoTpm[]} tpms */
async function shell({ cwd, env }, tpms) {
  const [proxy, cuse] = tpms
  console.log(`
Both are yours now. Try:
${table([
  ['tpm2_pcrread sha256', `the PCRs of ${proxy.device}`],
  [`tpm2_getcap properties-fixed --tcti=${cuse.tcti}`, 'what the CUSE TPM says of itself'],
  [`swtpm_ioctl --tpm-device ${cuse.device} --info 1`, 'the specification it implements'],
  ['swtpm cuse --help', 'what else there is'],
])}
exit ends the shell and the TPMs.
`)
  const [program, ...args] = INTERACTIVE_SHELL
  const child = spawn(program, args, { cwd, env: { ...env, TPM2TOOLS_TCTI: proxy.tcti }, stdio: 'inherit' })
  await once(child, 'exit')
}

/** @param {string[][]} rows of a command and what it is for */
function table(rows) {
  const width = Math.max(...rows.map(([command]) => command.length))
  return rows.map(([command, purpose]) => `  ${command.padEnd(width)}  ${dim(purpose)}`).join('\n')
}
