#!/usr/bin/env node
// Whether clients with little patience are served while every processor is busy:
// `node test/bench/patience.mjs [ROUNDS]`, after `npm run build`. Some two minutes for 40 rounds.
//
//   Cloud Hypervisor  waits 100 ms for the response to a TPM command (SO_RCVTIMEO of its data connection; none on the
//                     control channel)
//   libvirt           waits 1 s from its fork for the control socket
//   LXD, Incus        wait 2 s for the control socket of a machine, 10 s for the device of a container
//
// For each processor a process runs that does nothing else, at normal priority and in a session of its own: where the
// kernel schedules sessions as groups, it has as much of its processor as swtpm.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const SWTPM = fileURLToPath(new URL('../../bin/swtpm', import.meta.url))
const C_PROGRAM = '/usr/bin/swtpm'
const GET_RANDOM = Buffer.from('80010000000c0000017b0008', 'hex')
const GET_TPMESTABLISHED = Buffer.from('00000004', 'hex')
const LOOK_MS = 2

const rounds = Number(process.argv[2] ?? 40)
const work = mkdtempSync(path.join(os.tmpdir(), 'swtpm-patience-'))
/** A supervisor rests at once, so that each verb finds it at rest. */
const environment = { ...process.env, SWTPM_REST_MS: '0' }

/** @typedef {{ child: import('node:child_process').ChildProcess, socket: string, data: string }} Tpm */

/** As libvirt starts it; the data socket and Startup are for what is measured here. @param {string} program @returns {Tpm} */
function start(program) {
  const state = mkdtempSync(path.join(work, 'tpm-'))
  const [socket, data] = [path.join(state, 'control'), path.join(state, 'data')]
  const endpoints = ['--ctrl', `type=unixio,path=${socket},mode=0600`, '--server', `type=unixio,path=${data}`]
  const rest = [
    '--tpmstate',
    `dir=${state},mode=0600`,
    '--log',
    `file=${work}/log`,
    '--flags',
    'startup-clear',
  ]
  const child = spawn(program, ['socket', '--tpm2', ...endpoints, ...rest], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: environment,
    detached: true,
  })
  return { child, socket, data }
}

/** @param {Tpm} tpm */
async function stop({ child }) {
  child.kill()
  if (child.exitCode === null) await once(child, 'exit')
}

/** From exec until the file is there. @param {string} program @returns {Promise<number>} milliseconds */
async function untilSocket(program) {
  const started = performance.now()
  const tpm = start(program)
  while (!existsSync(tpm.socket)) await delay(LOOK_MS)
  const ms = performance.now() - started
  await stop(tpm)
  return ms
}

/** A connection that is there, whose requests are answered with one packet each. @param {string} file */
async function connected(file) {
  while (!existsSync(file)) await delay(LOOK_MS)
  const socket = connect(file)
  await once(socket, 'connect')
  /** @param {Buffer} request @returns {Promise<number>} milliseconds until its answer */
  const ask = async (request) => {
    const started = performance.now()
    socket.write(request)
    await once(socket, 'data')
    return performance.now() - started
  }
  return { ask, end: () => socket.destroy() }
}

const isAwake = (/** @type {Tpm} */ { child }) =>
  readdirSync('/proc').some((name) => /^\d+$/.test(name) && isNodeOf(Number(child.pid), name))

/** @param {number} keeper @param {string} pid */
function isNodeOf(keeper, pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    return parent === keeper && !stat.includes('(tpm-engine)')
  } catch {
    return false
  }
}

const atRest = async (/** @type {Tpm} */ tpm) => {
  while (isAwake(tpm)) await delay(LOOK_MS)
}

/** @param {string} program @param {string[]} args @returns {Promise<number>} milliseconds until it has ended */
async function time(program, args) {
  const started = performance.now()
  await once(spawn(program, args, { stdio: 'ignore' }), 'exit')
  return performance.now() - started
}

/** @param {boolean} other whether the C program is measured, too */
async function measure(other) {
  /** @type {Map<string, number[]>} */
  const times = new Map()
  const add = (/** @type {string} */ name, /** @type {number} */ ms) =>
    times.set(name, [...(times.get(name) ?? []), ms])
  const ours = start(SWTPM)
  const theirs = other ? start(C_PROGRAM) : undefined
  const data = await connected(ours.data)
  const control = await connected(ours.socket)
  const theirData = theirs && (await connected(theirs.data))
  for (let round = 0; round < rounds; round++) {
    await atRest(ours)
    for (let i = 0; i < 5; i++) {
      // Each after a pause, as a guest sends them, and so after both sides have slept.
      await delay(20)
      add('TPM command at rest', await data.ask(GET_RANDOM))
      if (theirData) add('TPM command, C program', await theirData.ask(GET_RANDOM))
    }
    add('verb at rest', await control.ask(GET_TPMESTABLISHED))
    add('node -e 0', await time(process.execPath, ['-e', '0']))
    add('control socket', await untilSocket(SWTPM))
    if (other) add('control socket, C program', await untilSocket(C_PROGRAM))
  }
  for (const client of [data, control, theirData]) client?.end()
  for (const tpm of [ours, theirs]) if (tpm) await stop(tpm)
  return times
}

/** @param {string} title @param {Map<string, number[]>} times */
function print(title, times) {
  console.log(
    `\n${title}, ms`.padEnd(45) + ['median', '95 %', 'longest'].map((word) => word.padStart(10)).join(''),
  )
  for (const [name, values] of times) {
    const sorted = [...values].sort((a, b) => a - b)
    const at = (/** @type {number} */ part) =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]
    const cells = [at(0.5), at(0.95), at(1)].map((ms) => Number(ms).toFixed(1).padStart(10))
    console.log(`  ${`${name} (${values.length})`.padEnd(42)}${cells.join('')}`)
  }
}

const firstLine = (/** @type {string} */ file) => readFileSync(file, 'utf8').trim()
const autogroup = '/proc/sys/kernel/sched_autogroup_enabled'
const processors = os.availableParallelism()
console.log(
  `${os.cpus()[0]?.model.trim()}, ${processors} processors; Linux ${os.release()}; Node ${process.version}`,
)
console.log(`Load when it began: ${firstLine('/proc/loadavg').split(' ')[0]}`)
console.log(`Sessions are groups: ${existsSync(autogroup) && firstLine(autogroup) === '1' ? 'yes' : 'no'}`)

/** @type {import('node:child_process').ChildProcess[]} */
const hogs = []
try {
  print('Quiet', await measure(existsSync(C_PROGRAM)))
  for (let i = 0; i < processors; i++) {
    hogs.push(spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore', detached: true }))
  }
  print(`${processors} busy processes`, await measure(existsSync(C_PROGRAM)))
} finally {
  for (const hog of hogs) hog.kill('SIGKILL')
  rmSync(work, { recursive: true, force: true })
}
