/** What a machine is to do, and the files by which its guest is told. */
import type { Socket } from 'node:net'
import { dirname } from 'node:path'
import type { Clock } from './accelerator.ts'
import { cpio, directory, type Entry, file } from './cpio.ts'
import SESSION from './guest/session.sh'
import SUSPEND from './guest/suspend.sh'
import type { Kernel } from './kernel/kernel.ts'
import type { LogRecord } from './kernel-log.ts'
import type { WantedModules } from './modules.ts'

export interface Job {
  readonly kernel: Kernel
  /** Program and arguments. */
  readonly command: readonly string[]
  readonly cwd: string
  /** Added to a small default environment. */
  readonly env?: Readonly<Record<string, string>>
  /** Directories of the host that the guest may write to, seen at the same path. */
  readonly shares?: readonly string[]
  /** Directories below /tmp and /run, which are the guest's own, that it sees all the same. */
  readonly keep?: readonly string[]
  /** Of the command, not counting the boot; default: none. */
  readonly timeoutMs?: number
  /** Ends the machine when it is aborted; its reason says what for. */
  readonly signal?: AbortSignal
  /** Connect the command to this terminal. */
  readonly interactive?: boolean
  /** Where the command's output goes; default: this process's. */
  readonly stdout?: NodeJS.WritableStream
  readonly stderr?: NodeJS.WritableStream
  /** Called when the guest is up; what is to be prepared follows. */
  readonly onUp?: (bootMs: number) => void
  /** Default 2. */
  readonly cpus?: number
  readonly clock?: Clock
  /** Default: what the tests need. */
  readonly modules?: WantedModules
  /** The guest's root directory, in its memory; without: the host's, read-only, with writes kept in memory. */
  readonly root?: readonly Entry[]
  /** Added to the kernel's command line. */
  readonly kernelArguments?: string
  /** Boot by a bzImage: QEMU lays the initial file system of others over the ACPI tables of a machine that has a TPM. */
  readonly bootsImage?: boolean
  /** More of QEMU's arguments. */
  readonly devices?: readonly string[]
  /** Wait for a debugger on this TCP port of the loopback before the kernel's first instruction. */
  readonly gdbPort?: number
  /** Shell commands that run before the command; what they write to /run/guest/environment is set for it. */
  readonly prepare?: string
  /** Shell commands that run after it. */
  readonly finish?: string
  /** More channels of the guest, by name; each is given the host's end. */
  readonly channels?: ReadonlyMap<string, (channel: Socket) => void>
  /** The kernel's log as it comes. */
  readonly onLog?: (record: LogRecord) => void
}

/** The devices of the tests, and file systems for TPMs that keep their state on one. */
export const TEST_MODULES: WantedModules = {
  required: ['cuse', 'tpm_vtpm_proxy'],
  // The two code pages are what the kernel mounts FAT with; ext4 asks for its checksums by another name than the module's.
  wanted: ['loop', 'vfat', 'nls_cp437', 'nls_ascii', 'crc32c_generic', 'ext4'],
}

/** An archive with what the guest's scripts read. @param token ends the command's output */
export function jobArchive(job: Job, token: string): Buffer {
  const { command, cwd, env = {}, shares = [], keep = [], interactive = false, root, prepare, finish } = job
  const { rows = 24, columns = 80 } = process.stdout
  const settings = {
    interactive: interactive ? 'yes' : 'no',
    root: root === undefined ? 'host' : 'memory',
    log: job.onLog === undefined ? 'no' : 'yes',
    token,
    rows,
    columns,
  }
  const environment = Object.entries({ ...defaultEnvironment(), ...env })
  const script = [
    ...environment.map(([name, value]) => `export ${name}=${quote(value)}`),
    '[ ! -e /run/guest/environment ] || . /run/guest/environment',
    `cd ${quote(cwd)} || exit 127`,
    `exec ${command.map(quote).join(' ')}`,
  ]
  const own = [directory('memory'), directory('memory/run'), ...(root ?? []).map(inMemory)]
  return cpio([
    directory('job'),
    directory('job/bin'),
    file('job/settings', lines(Object.entries(settings).map((pair) => pair.join('=')))),
    file('job/command', lines(script)),
    file('job/keep', lines(outermost([...keep, cwd]))),
    file('job/shares', lines(shares)),
    file('job/session.sh', SESSION),
    file('job/bin/ktest-suspend', SUSPEND, 0o755),
    ...(prepare === undefined
      ? []
      : [file('job/prepare', `${lines(script.slice(0, environment.length))}${prepare}`)]),
    ...(finish === undefined
      ? []
      : [file('job/finish', `${lines(script.slice(0, environment.length))}${finish}`)]),
    ...(root === undefined ? [] : own),
  ])
}

const inMemory = (entry: Entry): Entry => ({ ...entry, name: `memory/${entry.name}` })

const lines = (list: readonly string[]): string => list.map((line) => `${line}\n`).join('')

/** The guest's environment does not depend on who asks, so that a test means the same everywhere. */
function defaultEnvironment(): Record<string, string> {
  const ofNode = dirname(process.execPath)
  return {
    PATH: `/run/guest/bin:${ofNode}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: '/root',
    USER: 'root',
    LANG: 'C.UTF-8',
    TERM: process.env.TERM ?? 'dumb',
    SWTPM_VM: '1',
  }
}

/** Without those that lie inside another one. */
function outermost(directories: readonly string[]): string[] {
  const inside = (dir: string, other: string) => dir !== other && `${dir}/`.startsWith(`${other}/`)
  return [...new Set(directories)].filter((dir, _, all) => !all.some((other) => inside(dir, other)))
}

/** As a shell word. */
export const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`
