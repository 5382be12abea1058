#!/usr/bin/env node
// How long a start takes, and what of: `taskset -c 0 node test/bench/start-up-steps.mjs [ROUNDS]`, after `npm run build`.
//
// The client's socket is handed in as descriptor 3 and the command waits in it already, so that nothing has to be polled
// for: the answer comes when the TPM serves. Everything is interleaved with bare Node, which writes to the same
// descriptor; bare Node's time is what there is to compare with.

import { spawn } from 'node:child_process'
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { nodeWith } from '../../scripts/lib/node-with.mjs'

const HERE = path.dirname(fileURLToPath(import.meta.url))
const SWTPM = path.join(HERE, '../../bin/swtpm')
const IOCTL = path.join(HERE, '../../dist/swtpm_ioctl.js')
const C_PROGRAM = '/usr/bin/swtpm'
const GET_RANDOM = Buffer.from('80010000000c0000017b0008', 'hex')
const MARKS = path.join(HERE, 'start-up-marks.cjs')

const rounds = Number(process.argv[2] ?? 40)
const work = mkdtempSync(path.join(tmpdir(), 'swtpm-startup-'))
const bare = path.join(work, 'bare.js')
writeFileSync(bare, "require('node:fs').writeSync(3, 'x')")
const marking = nodeWith(path.join(work, 'bin'), process.execPath, MARKS)
// Settings of Node that make it read certificates or load modules are no part of a start. The keeper takes the first
// Node in PATH: this one.
const { NODE_OPTIONS, NODE_EXTRA_CA_CERTS, ...rest } = process.env
const environment = {
  ...rest,
  PATH: `${path.dirname(process.execPath)}:${rest.PATH}`,
  SWTPM_REST_MS: 'never',
}

const now = () => performance.timeOrigin + performance.now()
const median = (/** @type {number[]} */ values) => [...values].sort((a, b) => a - b)[values.length >> 1]

/** @typedef {[string, ...string[]]} Command */
/** @typedef {{ started: number, answered: number, ended: number }} Times */

/**
 * Runs a program until descriptor 3 says something, and closes that then. A TPM that was handed its client ends with it.
 *
 * @param {Command} command
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<Times>}
 */
function untilAnswer([program, ...args], env = {}) {
  return new Promise((resolve, reject) => {
    const started = now()
    const child = spawn(program, args, {
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
    })
    child.once('error', reject)
    child.once('exit', () => resolve({ started, answered, ended: now() }))
  })
}

/** @param {Command} command @returns {Promise<number>} milliseconds */
function untilEnd([program, ...args]) {
  return new Promise((resolve, reject) => {
    const started = now()
    const child = spawn(program, args, { stdio: 'ignore', env: environment })
    child.once('error', reject)
    child.once('exit', (code) =>
      code === 0 ? resolve(now() - started) : reject(new Error(`${program} ${args[0]}: ${code}`)),
    )
  })
}

let made = 0
const fresh = () => mkdtempSync(path.join(work, 'state-'))
/** @param {string} program @param {string} state @param {string[]} options @returns {Command} */
const socket = (program, state, ...options) => [
  ...[program, 'socket', '--tpm2', '--tpmstate', `dir=${state}`, '--flags', 'startup-clear'],
  ...options,
]
const serve = (/** @type {string} */ program, /** @type {string} */ state) =>
  socket(program, state, '--fd', '3', '--log', `file=${work}/log`)
const hasOther = isProgram(C_PROGRAM)
const used = fresh()
const usedByOther = fresh()
await untilAnswer(serve(SWTPM, used))
if (hasOther) await untilAnswer(serve(C_PROGRAM, usedByOther))

const answer = async (/** @type {Command} */ command) => {
  const { started, answered } = await untilAnswer(command)
  return answered - started
}
/** @param {string} program @param {string} name path of its control socket @returns {Command} */
function inBackground(program, name) {
  const endpoints = ['--ctrl', `type=unixio,path=${name}`, '--server', `type=unixio,path=${name}.data`]
  const background = ['--daemon', '--pid', `file=${name}.pid`, '--log', `file=${work}/log`]
  return socket(program, fresh(), ...endpoints, ...background)
}
/** Until the program in the background serves, and what was called returns. @param {string} program */
const daemon = async (program) => {
  const name = path.join(work, `daemon-${made++}`)
  const ms = await untilEnd(inBackground(program, name))
  await endDaemon(name)
  return ms
}
/** @type {[name: string, measure: () => Promise<number>][]} */
const cases = [
  ['bare Node, to the first byte it writes', () => answer([process.execPath, bare])],
  ['swtpm, state there, to the first answer', () => answer(serve(SWTPM, used))],
  ['swtpm, new state, to the first answer', () => answer(serve(SWTPM, fresh()))],
  ['swtpm --daemon, new state, to its return', () => daemon(SWTPM)],
  ['bare Node, to its end', () => untilEnd([process.execPath, '-e', '0'])],
  ['swtpm_ioctl -c, to its end', () => untilEnd([process.execPath, IOCTL, '--unix', control, '-c'])],
  ['swtpm --version, to its end', () => untilEnd([SWTPM, '--version'])],
]
if (hasOther) {
  cases.push(
    ['the C program, state there, to the first answer', () => answer(serve(C_PROGRAM, usedByOther))],
    ['the C program --daemon, new state, to its return', () => daemon(C_PROGRAM)],
  )
}

const control = path.join(work, 'control')
await untilEnd(inBackground(SWTPM, control))
try {
  const times = new Map(cases.map(([name]) => [name, /** @type {number[]} */ ([])]))
  /** @type {Map<string, number[]>} */
  const bareSteps = new Map()
  /** @type {Map<string, number[]>} */
  const steps = new Map()
  for (let round = 0; round < rounds; round++) {
    for (const [name, measure] of cases) times.get(name)?.push(await measure())
    await attribute(bareSteps, [process.execPath, bare])
    await attribute(steps, serve(SWTPM, used))
  }
  process.stdout.write(`ms, medians of ${rounds} rounds (the least)\n`)
  for (const [name, values] of times) process.stdout.write(line(name, values))
  process.stdout.write('\nWhere it goes: each from the mark before\n bare Node\n')
  for (const [name, values] of bareSteps) process.stdout.write(line(name, values))
  process.stdout.write(' swtpm, state there\n')
  for (const [name, values] of steps) process.stdout.write(line(name, values))
} finally {
  await endDaemon(control)
  rmSync(work, { recursive: true, force: true })
}

/** Adds the time of each step. @param {Map<string, number[]>} steps @param {Command} command */
async function attribute(steps, [program, ...args]) {
  const file = path.join(work, 'marks.json')
  const marked = program === process.execPath ? path.join(marking, 'node') : program
  const { started, answered } = await untilAnswer([marked, ...args], {
    STARTUP_MARKS: file,
    PATH: `${marking}:${environment.PATH}`,
  })
  /** @type {Record<string, number>} */
  const marks = JSON.parse(readFileSync(file, 'utf8'))
  let before = started
  const inOrder = Object.entries({ ...marks, 'first answer': answered }).sort(([, a], [, b]) => a - b)
  for (const [name, at] of inOrder) {
    // What goes on while the answer is on its way costs nobody anything.
    if (at > answered) break
    steps.set(name, [...(steps.get(name) ?? []), at - before])
    before = at
  }
}

/** Ends what runs in the background with this control socket, and waits until it has. @param {string} name */
async function endDaemon(name) {
  const pid = Number(readFileSync(`${name}.pid`, 'utf8'))
  process.kill(pid)
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 5))
}

function isAlive(/** @type {number} */ pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function isProgram(/** @type {string} */ file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** @param {string} name @param {number[]} values */
function line(name, values) {
  return `  ${name.padEnd(50)}${median(values).toFixed(1).padStart(7)}  (${Math.min(...values).toFixed(1)})\n`
}
