/**
 * Runs one command inside a throw-away QEMU machine that boots a given kernel.
 *
 * The guest sees the host's whole file system, read-only, with its own writes kept in memory; so the host's node,
 * tools and this project run inside as they are, at the same paths. The caller gets the command's output as it
 * comes and its exit status. Nothing survives the machine but what was written to a shared directory.
 *
 *      host                                        guest
 *      initial file system               ───►      /run/guest
 *      9p "host", "share0" …             ───►      /, the shared directories
 *      fd 3  first serial port           ◄───      kernel messages
 *      fd 4  channel "control"           ◄──►      up · started · exit STATUS · unprepared        size ROWS COLUMNS
 *      fd 5, 6  channels "stdout", …     ◄───      the command's output
 *      fd 7  channel "log"               ◄───      /dev/kmsg
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream, rmSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { guarded } from '../system/guard.ts'
import { REMEDIES } from '../system/missing-things.ts'
import { temporaryDirectory } from '../system/surroundings.ts'
import { acceleratorArguments } from './accelerator.ts'
import { isProgram } from './host-program.ts'
import { ensureInitramfs } from './initramfs.ts'
import { type Job, jobArchive, TEST_MODULES } from './job.ts'
import { KernelLog } from './kernel-log.ts'
import { MachineFault } from './machine-fault.ts'
import { CHANNELS, type Channel, CONSOLE_FD, FIRST_ADDED_FD, fdOf, qemuArguments } from './qemu-arguments.ts'
import { cutAtToken } from './token-stream.ts'

const BOOT_TIMEOUT_MS = 180_000
const DRAIN_TIMEOUT_MS = 10_000
const CONSOLE_LINES = 30
/** A driver waits for its TPM up to two minutes. */
const WAKE_TIMEOUT_MS = 150_000

/**
 * Boots a machine, runs the job in it and ends the machine.
 * @returns the command's exit status
 * @throws MachineFault when the machine does not come up, dies or exceeds the time
 */
export async function runInGuest(job: Job): Promise<number> {
  if (!isProgram('qemu-system-x86_64')) {
    throw new MachineFault('Cannot start the virtual machine: qemu-system-x86_64 is missing', {
      hint: `Install it: \`${REMEDIES.qemu.command}\``,
    })
  }
  const token = randomUUID()
  const initramfs = await ensureInitramfs(job.kernel, {
    hostFiles: job.root === undefined,
    ...(job.modules ?? TEST_MODULES),
  })
  const accelerator = await acceleratorArguments(job.kernel, initramfs, job.clock)
  const directory = await mkdtemp(join(temporaryDirectory(), 'swtpm-vm-'))
  const removeDirectory = () => rmSync(directory, { recursive: true, force: true })
  process.on('exit', removeDirectory)
  try {
    const initrd = join(directory, 'initrd')
    await pipeline(createReadStream(initramfs), createWriteStream(initrd))
    await writeFile(initrd, jobArchive(job, token), { flag: 'a' })
    return await new Machine(job, token, qemuArguments(job, { initrd, accelerator })).run()
  } finally {
    process.off('exit', removeDirectory)
    removeDirectory()
  }
}

/** The machine while it runs: one QEMU process and what is known about its guest. */
class Machine {
  readonly #job: Job
  readonly #token: string
  readonly #qemu: ChildProcess
  readonly #added: readonly ((channel: Socket) => void)[]
  /** The end of what the kernel printed, and anything QEMU complained about. */
  #console = ''
  #exitStatus: number | undefined
  #isPrepared = true
  #failed: MachineFault | undefined
  #suspended: NodeJS.Timeout | undefined

  constructor(job: Job, token: string, args: readonly string[]) {
    this.#job = job
    this.#token = token
    this.#added = [...(job.channels?.values() ?? [])]
    const stdio = job.interactive ? 'inherit' : 'ignore'
    // The kernel kills QEMU when this process ends in whatever way.
    this.#qemu = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args], {
      stdio: [stdio, stdio, 'pipe', 'pipe', ...[...CHANNELS, ...this.#added].map(() => 'pipe' as const)],
    })
  }

  run(): Promise<number> {
    const started = performance.now()
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined
      const giveUpAfter = (ms: number | undefined, what: string, isTimeout = false) => {
        clearTimeout(timer)
        if (ms === undefined) return
        timer = setTimeout(() => {
          this.#failed = this.#failure(what, isTimeout)
          this.#qemu.kill('SIGKILL')
        }, ms)
      }
      // A debugger takes its time.
      const bootMs = this.#job.gdbPort === undefined ? BOOT_TIMEOUT_MS : undefined
      giveUpAfter(bootMs, `did not come up within ${BOOT_TIMEOUT_MS / 1000} s`)
      const up = () => this.#job.onUp?.(performance.now() - started)
      const commandStarted = () => {
        const { timeoutMs } = this.#job
        giveUpAfter(timeoutMs, `was ended: its command ran longer than ${(timeoutMs ?? 0) / 1000} s`, true)
      }
      const ended = (status: number) => {
        this.#exitStatus = status
        giveUpAfter(DRAIN_TIMEOUT_MS, 'ended, but its output did not')
        guarded(drained.then(() => this.#qemu.kill('SIGKILL')))
      }
      this.#watchConsole()
      for (const [at, connect] of this.#added.entries()) connect(this.#stream(FIRST_ADDED_FD + at))
      this.#job.signal?.addEventListener('abort', () =>
        giveUpAfter(0, `was ended: ${this.#job.signal?.reason}`),
      )
      this.#followWindowSize()
      const drained = Promise.all([this.#connectOutput(), this.#connectLog()])
      this.#watchControl({ up, started: commandStarted, ended })
      this.#qemu.on('error', reject)
      this.#qemu.on('close', () => {
        clearTimeout(timer)
        const failure = this.#failed ?? this.#failureAtEnd()
        if (failure !== undefined) reject(failure)
        // The person at the terminal may have pulled the plug (Ctrl-] x): they know.
        else resolve(this.#exitStatus ?? 1)
      })
    })
  }

  #failureAtEnd(): MachineFault | undefined {
    if (!this.#isPrepared) return this.#failure('could not be prepared for its command')
    if (this.#exitStatus !== undefined) return undefined
    if (this.#console.includes('Kernel panic')) return this.#failure('died: its kernel panicked')
    return this.#job.interactive ? undefined : this.#failure('ended before the command did')
  }

  #stream(fd: number): Socket {
    return this.#qemu.stdio[fd] as Socket
  }

  #channel(name: Channel): Socket {
    return this.#stream(fdOf(name))
  }

  #watchConsole(): void {
    const keep = (chunk: Buffer) => {
      this.#console = (this.#console + chunk).slice(-64 * 1024)
    }
    this.#qemu.stderr?.on('data', keep)
    this.#stream(CONSOLE_FD).on('data', keep)
  }

  #watchControl(on: { up(): void; started(): void; ended(status: number): void }): void {
    let text = ''
    this.#channel('control').on('data', (chunk) => {
      const lines = (text + chunk).split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        if (line === 'up') on.up()
        else if (line === 'started') on.started()
        else if (line === 'unprepared') this.#isPrepared = false
        else if (line.startsWith('exit ')) on.ended(Number(line.slice('exit '.length)))
      }
    })
  }

  /** @returns fulfilled when all the command's output has been passed on */
  #connectOutput(): Promise<unknown> {
    if (this.#job.interactive) return Promise.resolve()
    return Promise.all([
      cutAtToken(this.#channel('stdout'), this.#token, this.#job.stdout ?? process.stdout),
      cutAtToken(this.#channel('stderr'), this.#token, this.#job.stderr ?? process.stderr),
    ])
  }

  /** @returns fulfilled when all of the kernel's log up to the command's end is there, or the machine has ended */
  #connectLog(): Promise<void> {
    const { onLog, interactive } = this.#job
    if (onLog === undefined || interactive) return Promise.resolve()
    return new Promise((resolve) => {
      const log = new KernelLog((record) => {
        if (record.text.includes(this.#token)) resolve()
        else onLog(record)
        if (!record.isKernel) this.#watchSuspend(record.text)
      })
      this.#channel('log').on('data', (chunk: Buffer) => log.add(chunk))
      this.#channel('log').on('close', resolve)
    })
  }

  /** The guest says that it is about to suspend, and that it is awake again. One that does not wake would hold us up for good. */
  #watchSuspend(text: string): void {
    const [, said, seconds] = /^ktest-suspend: (over|for (\d+) s)$/.exec(text) ?? []
    if (said === undefined) return
    clearTimeout(this.#suspended)
    if (seconds === undefined) return
    const patienceMs = Number(seconds) * 1000 + WAKE_TIMEOUT_MS
    this.#suspended = setTimeout(() => {
      this.#failed = this.#failure(
        `has not woken from a suspend of ${seconds} s in ${patienceMs / 1000} s`,
        true,
      )
      this.#qemu.kill('SIGKILL')
    }, patienceMs)
    this.#qemu.on('close', () => clearTimeout(this.#suspended))
  }

  #followWindowSize(): void {
    if (!this.#job.interactive) return
    const tell = () =>
      this.#channel('control').write(`size ${process.stdout.rows} ${process.stdout.columns}\n`)
    process.stdout.on('resize', tell)
    this.#qemu.on('close', () => process.stdout.off('resize', tell))
  }

  #failure(what: string, isTimeout = false): MachineFault {
    const printed = this.#console.replaceAll('\r', '').trimEnd().split('\n').slice(-CONSOLE_LINES).join('\n')
    return new MachineFault(`The virtual machine (kernel ${this.#job.kernel.release}) ${what}`, {
      output: printed === '' ? undefined : `The last lines on its console:\n${printed}`,
      isTimeout,
    })
  }
}
