// Runs one command inside a throw-away QEMU machine that boots one of Debian's stock kernels.
//
// The guest sees the host's whole file system, read-only, with its own writes kept in memory; so the host's node,
// tools and this project run inside as they are, at the same paths. The caller gets the command's output as it
// comes and its exit status. Nothing survives the machine but what was written to a shared directory.
//
//      host                                        guest
//      9p "job", "host", "share0" …      ───►      /run/guest, /, the shared directories
//      fd 3  first serial port           ◄───      kernel messages
//      fd 4  channel "control"           ◄──►      up · exit STATUS        size ROWS COLUMNS
//      fd 5, 6  channels "stdout", …     ◄───      the command's output

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { copyFile, mkdtemp, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { succeeds, UserError } from '../lib/command.mjs'
import { projectRoot } from '../lib/paths.mjs'
import { lastLines } from '../lib/terminal.mjs'
import { acceleratorArguments } from './accelerator.mjs'
import { ensureInitramfs, guestScript } from './initramfs.mjs'
import { cutAtToken } from './token-stream.mjs'

const BOOT_TIMEOUT_MS = 180_000
const DRAIN_TIMEOUT_MS = 10_000

/**
 * @typedef {object} Job
 * @property {import('./kernel.mjs').Kernel} kernel
 * @property {string[]} command program and arguments
 * @property {string} [cwd] default: the caller's
 * @property {Record<string, string>} [env] added to a small default environment
 * @property {string[]} [shares] directories of the host that the guest may write to, seen at the same path
 * @property {number} [timeoutMs] of the command, not counting the boot; default: none
 * @property {boolean} [interactive] connect the command to this terminal
 * @property {NodeJS.WritableStream} [stdout] where the command's output goes; default: this process's
 * @property {NodeJS.WritableStream} [stderr]
 * @property {(bootMs: number) => void} [onUp] called when the command starts
 * @property {number} [cpus] default 2
 * @property {'instructions' | 'slow'} [clock] one CPU whose clock counts its instructions: times repeat; or it is as slow as
 *   the emulated processor, so that programs find it fast and keep the time limits of others
 */

/**
 * Boots a machine, runs the job in it and ends the machine.
 *
 * @param {Job} job
 * @returns {Promise<number>} the command's exit status
 * @throws {UserError} when the machine does not come up, dies or exceeds the time
 */
export async function runInGuest(job) {
  if (!succeeds('sh', ['-c', 'command -v qemu-system-x86_64'])) {
    throw new UserError('Cannot start the virtual machine: qemu-system-x86_64 is missing', {
      hint: 'Run `npm run setup -- start`',
    })
  }
  const token = randomUUID()
  const directory = await mkdtemp(path.join(os.tmpdir(), 'swtpm-vm-'))
  const removeDirectory = () => rmSync(directory, { recursive: true, force: true })
  process.on('exit', removeDirectory)
  try {
    await describeJob(job, token, directory)
    return await new Machine(job, token, await qemuArguments(job, directory)).run()
  } finally {
    process.off('exit', removeDirectory)
    removeDirectory()
  }
}

/** The machine while it runs: one QEMU process and what is known about its guest. */
class Machine {
  /** @param {Job} job @param {string} token @param {string[]} args */
  constructor(job, token, args) {
    this.job = job
    this.token = token
    /** @type {string} the end of what the kernel printed, and anything QEMU complained about */
    this.console = ''
    /** @type {number | undefined} */
    this.exitStatus = undefined
    const stdio = job.interactive ? 'inherit' : 'ignore'
    // The kernel kills QEMU when this process ends in whatever way.
    this.qemu = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args], {
      stdio: [stdio, stdio, 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    })
  }

  /** @returns {Promise<number>} */
  run() {
    const started = performance.now()
    return new Promise((resolve, reject) => {
      let timer = setTimeout(
        () => giveUp(`did not come up within ${BOOT_TIMEOUT_MS / 1000} s`),
        BOOT_TIMEOUT_MS,
      )
      const giveUp = (/** @type {string} */ what) => {
        this.qemu.kill('SIGKILL')
        reject(this.#failure(what))
      }
      const up = () => {
        clearTimeout(timer)
        const { timeoutMs, onUp } = this.job
        if (timeoutMs) timer = setTimeout(() => giveUp(`ran longer than ${timeoutMs / 1000} s`), timeoutMs)
        onUp?.(performance.now() - started)
      }
      const ended = (/** @type {number} */ status) => {
        clearTimeout(timer)
        this.exitStatus = status
        timer = setTimeout(() => giveUp('ended, but its output did not'), DRAIN_TIMEOUT_MS)
        drained.then(() => this.qemu.kill('SIGKILL'))
      }
      this.#watchConsole()
      this.#followWindowSize()
      const drained = this.#connectOutput()
      this.#watchControl(up, ended)
      this.qemu.on('error', reject)
      this.qemu.on('close', () => {
        clearTimeout(timer)
        if (this.exitStatus !== undefined) resolve(this.exitStatus)
        else if (this.console.includes('Kernel panic')) reject(this.#failure('died: its kernel panicked'))
        // The person at the terminal may have pulled the plug (Ctrl-] x): they know.
        else if (this.job.interactive) resolve(1)
        else reject(this.#failure('ended before the command did'))
      })
    })
  }

  /** @param {number} fd @returns {import('node:net').Socket} */
  #stream(fd) {
    return /** @type {import('node:net').Socket} */ (this.qemu.stdio[fd])
  }

  #watchConsole() {
    const keep = (/** @type {Buffer} */ chunk) => {
      this.console = (this.console + chunk).slice(-64 * 1024)
    }
    this.qemu.stderr?.on('data', keep)
    this.#stream(3).on('data', keep)
  }

  /** @param {() => void} up @param {(status: number) => void} ended */
  #watchControl(up, ended) {
    let text = ''
    this.#stream(4).on('data', (chunk) => {
      const lines = (text + chunk).split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        if (line === 'up') up()
        else if (line.startsWith('exit ')) ended(Number(line.slice('exit '.length)))
      }
    })
  }

  /** @returns {Promise<unknown>} fulfilled when all the command's output has been passed on */
  #connectOutput() {
    if (this.job.interactive) return Promise.resolve()
    return Promise.all([
      cutAtToken(this.#stream(5), this.token, this.job.stdout ?? process.stdout),
      cutAtToken(this.#stream(6), this.token, this.job.stderr ?? process.stderr),
    ])
  }

  #followWindowSize() {
    if (!this.job.interactive) return
    const tell = () => this.#stream(4).write(`size ${process.stdout.rows} ${process.stdout.columns}\n`)
    process.stdout.on('resize', tell)
    this.qemu.on('close', () => process.stdout.off('resize', tell))
  }

  /** @param {string} what */
  #failure(what) {
    const printed = lastLines(this.console.replaceAll('\r', ''), 30)
    return new UserError(`The virtual machine (kernel ${this.job.kernel.release}) ${what}`, {
      output: printed && `The last lines on its console:\n${printed}`,
    })
  }
}

/**
 * Writes what the guest's scripts read.
 *
 * @param {Job} job @param {string} token @param {string} directory
 */
async function describeJob(
  { command, cwd = process.cwd(), env = {}, shares = [], interactive },
  token,
  directory,
) {
  const { rows = 24, columns = 80 } = process.stdout
  const settings = { interactive: interactive ? 'yes' : 'no', token, rows, columns }
  const lines = (/** @type {string[]} */ list) => list.map((line) => `${line}\n`).join('')
  const environment = { ...defaultEnvironment(), ...env }
  const script = [
    ...Object.entries(environment).map(([name, value]) => `export ${name}=${quote(value)}`),
    `cd ${quote(cwd)} || exit 127`,
    `exec ${command.map(quote).join(' ')}`,
  ]
  await Promise.all([
    writeFile(
      path.join(directory, 'settings'),
      lines(Object.entries(settings).map((pair) => pair.join('='))),
    ),
    writeFile(path.join(directory, 'command'), lines(script)),
    writeFile(path.join(directory, 'keep'), lines(outermost([projectRoot, cwd]))),
    writeFile(path.join(directory, 'shares'), lines(shares)),
    copyFile(guestScript('session.sh'), path.join(directory, 'session.sh')),
  ])
}

/** The guest's environment does not depend on who asks, so that a test means the same everywhere. */
function defaultEnvironment() {
  return {
    PATH: `${path.dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: '/root',
    USER: 'root',
    LANG: 'C.UTF-8',
    TERM: process.env.TERM ?? 'dumb',
    SWTPM_VM: '1',
  }
}

/** @param {Job} job @param {string} directory @returns {Promise<string[]>} */
async function qemuArguments(job, directory) {
  const { kernel, interactive, shares = [], cpus = 2, clock } = job
  const initramfs = await ensureInitramfs(kernel)
  const share = (/** @type {string} */ tag, /** @type {string} */ dir, readonly = true) => [
    '-fsdev',
    // A comma in a path is written twice. remap: inode numbers stay unique across the host's mounts.
    `local,id=${tag},path=${dir.replaceAll(',', ',,')},security_model=none,multidevs=remap${readonly ? ',readonly=on' : ''}`,
    '-device',
    `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`,
  ]
  const channel = (/** @type {string} */ name, /** @type {number} */ fd) => [
    '-chardev',
    `socket,id=${name},fd=${fd}`,
    '-device',
    `virtserialport,chardev=${name},name=${name}`,
  ]
  return [
    ...['-M', 'q35', ...(await acceleratorArguments(kernel, clock)), '-m', '2048'],
    ...['-smp', String(clock === undefined ? cpus : 1)],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-nic', 'none', '-no-reboot'],
    ...['-kernel', kernel.image, '-initrd', initramfs],
    // quiet: every character on the emulated serial port costs time; warnings still come through.
    // no_timer_check: on a busy host the emulated timer's interrupts come so late that the kernel would give up on it.
    ...['-append', 'console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check random.trust_cpu=on'],
    ...['-chardev', 'socket,id=console,fd=3', '-serial', 'chardev:console'],
    ...['-device', 'virtio-serial-pci'],
    // The escape character is Ctrl-] as in telnet, since shells and screens have uses for Ctrl-A.
    ...(interactive
      ? ['-echr', '0x1d', '-chardev', 'stdio,id=tty,mux=on,signal=off', '-device', 'virtconsole,chardev=tty']
      : []),
    ...channel('control', 4),
    ...channel('stdout', 5),
    ...channel('stderr', 6),
    ...share('job', directory),
    ...share('host', '/'),
    ...shares.flatMap((dir, number) => share(`share${number}`, dir, false)),
  ]
}

/** @param {string[]} directories @returns {string[]} without those that lie inside another one */
function outermost(directories) {
  const inside = (/** @type {string} */ dir, /** @type {string} */ other) =>
    dir !== other && `${dir}/`.startsWith(`${other}/`)
  return [...new Set(directories)].filter((dir, _, all) => !all.some((other) => inside(dir, other)))
}

/** @param {string} word @returns {string} as a shell word */
function quote(word) {
  return `'${word.replaceAll("'", `'\\''`)}'`
}
