/** QEMU with a TPM emulator behind it: a shell inside the guest, and QEMU's monitor. */
import { type ChildProcess, spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import type { Socket } from 'node:net'
import { GuestShell } from './guest-shell.ts'
import type { GuestImage } from './qemu-image.ts'
import type { Cleanup } from './swtpm.ts'
import { waitFor } from './wait.ts'

/** A guest on an emulated processor boots in seconds; on a busy machine it may take many. */
const BOOT_TIMEOUT_MS = 120_000
const ANSWER_TIMEOUT_MS = 60_000
/** Where the initial file system is put: below everything that the firmware places at the top of the memory. */
export const INITRAMFS_ADDRESS = 0x8000000

export interface GuestOptions {
  readonly image: GuestImage
  /** The control socket of its TPM. */
  readonly controlPath: string
  readonly device: 'tpm-crb' | 'tpm-tis'
  /** Wait for a migration from this address instead of booting. */
  readonly incoming?: string
}

type Answer = { readonly return?: unknown; readonly error?: { readonly desc: string } }

export class QemuGuest {
  readonly #qemu: ChildProcess
  /** What the kernel and QEMU itself had to say, for failures. */
  #console = ''
  readonly #shell: GuestShell
  readonly #answers: Answer[] = []
  readonly exited: Promise<number | NodeJS.Signals>

  private constructor(args: readonly string[]) {
    // The kernel kills QEMU when the test process ends in whatever way.
    this.#qemu = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    })
    this.exited = new Promise((resolve) => {
      this.#qemu.on('close', (code, signal) => resolve(code ?? (signal as NodeJS.Signals)))
    })
    const keep = (chunk: Buffer): void => {
      this.#console += chunk
    }
    this.#qemu.stderr?.on('data', keep)
    this.#stream(3).on('data', keep)
    this.#shell = new GuestShell(this.#stream(4), this.#until.bind(this))
    // QEMU ends without reading all that it was sent; `exited` tells of it.
    for (const fd of [3, 5]) this.#stream(fd).on('error', () => {})
    let text = ''
    this.#stream(5).on('data', (chunk) => {
      const lines = (text + chunk).split('\n')
      text = lines.pop() ?? ''
      for (const line of lines) {
        const message = JSON.parse(line)
        if ('return' in message || 'error' in message) this.#answers.push(message)
      }
    })
  }

  /** Starts QEMU; a guest that boots is waited for. */
  static async start(t: Cleanup, options: GuestOptions): Promise<QemuGuest> {
    const guest = new QemuGuest(argumentsFor(options))
    t.after(() => guest.kill())
    await guest.monitor('qmp_capabilities')
    if (options.incoming === undefined) await guest.#shell.booted()
    return guest
  }

  /** Runs a line in the guest's shell. @returns what it printed @throws when its exit status is not 0 */
  shell(line: string): Promise<string> {
    return this.#shell.run(line)
  }

  /** Sends a TPM command from inside the guest. */
  tpm(command: Uint8Array): Promise<Buffer> {
    return this.#shell.tpm(command)
  }

  /** Executes a command of QEMU's monitor (QMP). */
  async monitor(execute: string, args: Record<string, unknown> = {}): Promise<unknown> {
    this.#stream(5).write(`${JSON.stringify({ execute, arguments: args })}\n`)
    await this.#until(() => this.#answers.length > 0, `the answer to ${execute}`, ANSWER_TIMEOUT_MS)
    const answer = this.#answers.shift() as Answer
    if (answer.error !== undefined) throw new Error(`QEMU: ${execute}: ${answer.error.desc}`)
    return answer.return
  }

  /** Executes a command as a person at QEMU's console types it. @throws when that prints something */
  async humanMonitor(line: string): Promise<void> {
    const printed = await this.monitor('human-monitor-command', { 'command-line': line })
    if (printed !== '') throw new Error(`QEMU: ${line}: ${printed}`)
  }

  /** Moves the guest, and waits until it has gone. It stays paused here. */
  async migrate(uri: string): Promise<void> {
    await this.monitor('migrate', { uri })
    await waitFor(
      async () => {
        const { status } = (await this.monitor('query-migrate')) as { status?: string }
        if (status === 'failed') throw new Error(`the migration failed: ${this.#console}`)
        return status === 'completed'
      },
      { what: 'the end of the migration', timeoutMs: BOOT_TIMEOUT_MS },
    )
  }

  /** Runs a job of QEMU's to its end. */
  async job(execute: string, args: Record<string, unknown>): Promise<void> {
    const id = 'job'
    await this.monitor(execute, { ...args, 'job-id': id })
    await waitFor(
      async () => {
        const [job] = (await this.monitor('query-jobs')) as { status: string; error?: string }[]
        if (job?.error !== undefined) throw new Error(`QEMU: ${execute}: ${job.error}`)
        return job?.status === 'concluded'
      },
      { what: `the end of ${execute}`, timeoutMs: ANSWER_TIMEOUT_MS },
    )
    await this.monitor('job-dismiss', { id })
  }

  /** Waits until a guest that came in by migration runs. */
  waitUntilRunning(): Promise<void> {
    return this.#arrived('running')
  }

  /** The same for one that was paused when it was saved. */
  waitUntilLoaded(): Promise<void> {
    return this.#arrived('paused')
  }

  async #arrived(wanted: string): Promise<void> {
    await waitFor(
      async () => ((await this.monitor('query-status')) as { status: string }).status === wanted,
      { what: `the guest to be ${wanted}`, timeoutMs: BOOT_TIMEOUT_MS },
    )
  }

  /** The reset button. */
  async reset(): Promise<void> {
    await this.monitor('system_reset')
    await this.#shell.booted()
  }

  /** Ends QEMU in order. */
  async quit(): Promise<void> {
    await this.monitor('quit')
    await this.exited
  }

  kill(): Promise<unknown> {
    this.#qemu.kill('SIGKILL')
    return this.exited
  }

  #stream(fd: number): Socket {
    return this.#qemu.stdio[fd] as Socket
  }

  async #until(condition: () => boolean, what: string, timeoutMs: number): Promise<void> {
    const running = (): boolean => this.#qemu.exitCode === null && this.#qemu.signalCode === null
    try {
      await waitFor(() => condition() || !running(), { what, timeoutMs })
    } catch (error) {
      throw new Error(`${(error as Error).message}; its console:\n${this.#console.slice(-4000)}`)
    }
    if (!condition()) throw new Error(`QEMU ended before ${what}:\n${this.#console.slice(-4000)}`)
  }
}

/**
 * Not -initrd: QEMU puts that right below the end of the memory, where the firmware's ACPI tables have no room beside it as soon
 * as there is a TPM with its event log.
 */
export const initramfsArguments = ({ initramfs }: GuestImage): string[] => [
  '-device',
  `loader,file=${initramfs},addr=${INITRAMFS_ADDRESS},force-raw=on`,
]

function argumentsFor({ image, controlPath, device, incoming }: GuestOptions): string[] {
  const { size } = statSync(image.initramfs)
  const stream = (name: string, fd: number): string[] => ['-chardev', `socket,id=${name},fd=${fd}`]
  return [
    ...['-M', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-m', '256'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-nic', 'none'],
    ...['-kernel', image.kernel],
    ...initramfsArguments(image),
    '-append',
    `console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on initrdmem=${INITRAMFS_ADDRESS},${size}`,
    ...[...stream('console', 3), '-serial', 'chardev:console'],
    ...[...stream('shell', 4), '-serial', 'chardev:shell'],
    ...[...stream('monitor', 5), '-mon', 'chardev=monitor,mode=control'],
    // As QEMU's documentation and libvirt write them.
    ...['-chardev', `socket,id=chrtpm,path=${controlPath}`],
    ...['-tpmdev', 'emulator,id=tpm0,chardev=chrtpm'],
    ...['-device', `${device},tpmdev=tpm0`],
    ...(incoming === undefined ? [] : ['-incoming', incoming]),
  ]
}
