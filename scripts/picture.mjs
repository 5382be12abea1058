#!/usr/bin/env node
// Makes the picture in README.md: runs the demo of `npm start` in a virtual machine, and draws some of what it showed.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from './lib/command.mjs'
import { displayPath, projectRoot } from './lib/paths.mjs'
import { runMain, say } from './lib/terminal.mjs'
import { terminalPicture } from './lib/terminal-picture.mjs'
import { setUp } from './setup.mjs'
import { availableSeries, ensureKernel } from './vm/kernel.mjs'
import { runInGuest } from './vm/machine.mjs'

const PICTURE = path.join(projectRoot, 'docs/at-work.svg')

/** How the commands begin that are in the picture, in the order of the demo; each is looked for behind the one before. */
const COMMANDS = [
  'swtpm chardev --vtpm-proxy',
  'export TPM2TOOLS_TCTI',
  'tpm2_getrandom',
  'printf',
  'kill',
  'swtpm chardev --vtpm-proxy',
  'tpm2_nvread',
  'swtpm run --fault',
]

/** @typedef {import('./demo/walkthrough.mjs').Shown} Shown */

async function main() {
  const [series] = await availableSeries()
  await setUp({ needs: ['demo', 'vm'], kernels: [series] })
  const shown = chosen(await demo(await ensureKernel(series)))
  await writeFile(PICTURE, terminalPicture({ title: 'swtpm at work', lines: shown.flatMap(lines) }))
  say(`${displayPath(PICTURE)} is written`)
}

/** @param {Awaited<ReturnType<typeof ensureKernel>>} kernel @returns {Promise<Shown[]>} */
async function demo(kernel) {
  const share = await mkdtemp(path.join(os.tmpdir(), 'swtpm-picture-'))
  try {
    const transcript = path.join(share, 'transcript.json')
    const program = path.join(projectRoot, 'scripts/demo.mjs')
    const status = await runInGuest({
      kernel,
      command: [process.execPath, program, '--transcript', transcript],
      cwd: projectRoot,
      shares: [share],
    })
    if (status !== 0) throw new UserError(`The demo ended with status ${status}`)
    return JSON.parse(await readFile(transcript, 'utf8'))
  } finally {
    await rm(share, { recursive: true, force: true })
  }
}

/** @param {Shown[]} shown @returns {Shown[]} */
function chosen(shown) {
  let from = 0
  return COMMANDS.map((beginning) => {
    const index = shown.findIndex(({ command }, at) => at >= from && command?.startsWith(beginning))
    if (index === -1)
      throw new UserError(`The demo does not show "${beginning}" any more`, {
        hint: fileURLToPath(import.meta.url),
      })
    from = index + 1
    return shown[index]
  })
}

/** @param {Shown} shown @returns {import('./lib/terminal-picture.mjs').Line[]} */
function lines({ command = '', result }) {
  const typed = { kind: /** @type {const} */ ('typed'), text: command }
  return result === undefined ? [typed] : [typed, { kind: 'result', text: result }]
}

runMain(main)
