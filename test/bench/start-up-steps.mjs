#!/usr/bin/env node
// How long a start takes, and what of: `taskset -c 0 node test/bench/start-up-steps.mjs [ROUNDS]`.
//
// The client's socket is handed in as descriptor 3 and the command waits in it already, so that nothing has to be polled
// for: the answer comes when the TPM serves. Everything is interleaved with bare Node, which writes to the same
// descriptor; bare Node's time is what there is to compare with.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const HERE = path.dirname(fileURLToPath(import.meta.url))
const program = (/** @type {string} */ name) => path.join(HERE, '../../dist', name)
const GET_RANDOM = Buffer.from('80010000000c0000017b0008', 'hex')
const MARKS = path.join(HERE, 'start-up-marks.cjs')

const rounds = Number(process.argv[2] ?? 40)
const work = mkdtempSync(path.join(tmpdir(), 'swtpm-startup-'))
const bare = path.join(work, 'bare.js')
writeFileSync(bare, "require('node:fs').writeSync(3, 'x')")
// Settings of Node that make it read certificates or load modules are no part of a start.
const { NODE_OPTIONS, NODE_EXTRA_CA_CERTS, ...environment } = process.env

const now = () => performance.timeOrigin + performance.now()
const median = (/** @type {number[]} */ values) => [...values].sort((a, b) => a - b)[values.length >> 1]

/**
 * Runs Node until descriptor 3 says something, and ends it then.
 *
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<{ started: number, answered: number, ended: number }>}
 */
function run(args, env = {}) {
  return new Promise((resolve, reject) => {
    const started = now()
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
      env: { ...environment, ...env },
    })
    const client = /** @type {import('node:net').Socket} */ (child.stdio[3])
    let answered = Number.NaN
    client.on('error', reject)
    client.write(GET_RANDOM)
    client.once('data', () => {
      answered = now()
      client.destroy()
      child.kill('SIGTERM')
    })
    child.once('error', reject)
    child.once('exit', () => resolve({ started, answered, ended: now() }))
  })
}

const serve = (/** @type {string} */ state) => [
  ...[program('swtpm.js'), 'socket', '--tpm2', '--fd', '3', '--tpmstate', `dir=${state}`],
  ...['--flags', 'startup-clear', '--log', 'level=0,fd=2'],
]
const used = mkdtempSync(path.join(work, 'used-'))
const fresh = () => mkdtempSync(path.join(work, 'fresh-'))
await run(serve(used))

const answer = async (/** @type {string[]} */ args) => {
  const { started, answered } = await run(args)
  return answered - started
}
/** @type {[name: string, measure: () => Promise<number>][]} */
const cases = [
  ['bare Node, to the first byte it writes', () => answer([bare])],
  ['swtpm, state there, to the first answer', () => answer(serve(used))],
  ['swtpm, new state, to the first answer', () => answer(serve(fresh()))],
  ['bare Node, to its end', async () => exit(await run([bare]))],
  ['swtpm_ioctl -c, to its end', () => tool('swtpm_ioctl.js', '--unix', control, '-c')],
  ['swtpm --version, to its end', () => tool('swtpm.js', '--version')],
]
const exit = (/** @type {{ started: number, ended: number }} */ { started, ended }) => ended - started

/** @param {string} name @param {string[]} args @returns {Promise<number>} */
function tool(name, ...args) {
  return new Promise((resolve, reject) => {
    const started = now()
    const child = spawn(process.execPath, [program(name), ...args], { stdio: 'ignore', env: environment })
    child.once('exit', (code) =>
      code === 0 ? resolve(now() - started) : reject(new Error(`${name}: ${code}`)),
    )
  })
}

const control = path.join(work, 'control')
const tpm = spawn(process.execPath, [
  ...[program('swtpm.js'), 'socket', '--tpm2', '--tpmstate', `dir=${fresh()}`],
  ...['--ctrl', `type=unixio,path=${control}`],
])
try {
  while ((await tool('swtpm_ioctl.js', '--unix', control, '-c').catch(() => 0)) === 0);

  const times = new Map(cases.map(([name]) => [name, /** @type {number[]} */ ([])]))
  /** @type {Map<string, number[]>} */
  const steps = new Map()
  for (let round = 0; round < rounds; round++) {
    for (const [name, measure] of cases) times.get(name)?.push(await measure())
    await attribute(steps)
  }
  process.stdout.write(`ms, medians of ${rounds} rounds (the least)\n`)
  for (const [name, values] of times) process.stdout.write(line(name, values))
  process.stdout.write('\nWhere it goes: from the mark before to this one, state there\n')
  for (const [name, values] of steps) process.stdout.write(line(name, values))
} finally {
  tpm.kill()
  rmSync(work, { recursive: true, force: true })
}

/** @param {Map<string, number[]>} steps */
async function attribute(steps) {
  const file = path.join(work, 'marks.json')
  const { started, answered } = await run(['-r', MARKS, ...serve(used)], { STARTUP_MARKS: file })
  /** @type {Record<string, number>} */
  const marks = JSON.parse(readFileSync(file, 'utf8'))
  let before = started
  const inOrder = Object.entries({ ...marks, 'first answer': answered }).sort(([, a], [, b]) => a - b)
  for (const [name, at] of inOrder) {
    steps.set(name, [...(steps.get(name) ?? []), at - before])
    before = at
  }
}

/** @param {string} name @param {number[]} values */
function line(name, values) {
  return `  ${name.padEnd(42)}${median(values).toFixed(1).padStart(7)}  (${Math.min(...values).toFixed(1)})\n`
}
