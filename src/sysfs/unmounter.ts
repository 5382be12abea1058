/**
 * Who takes the mount away. This process cannot: by then it is another user, may not start programs, and may have been killed. So a
 * shell waits for it to end, by a pipe, with the rights of the start and in the root directory of the start.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { log } from '../system/log.ts'
import { native } from '../system/native/load.ts'
import { within } from '../system/time-limit.ts'

const LIMIT_MS = 5000
/** Until the pipe is closed, by us or by the kernel. Signals to all processes of a service are not for it. */
const WAIT = "trap '' HUP INT QUIT TERM; read -r _"
/** Lazily: a reader may be there. */
const AS_ROOT = 'umount -l -- "$1"'
const AS_USER = 'fusermount3 -uz -- "$1" || fusermount -uz -- "$1"'

export class Unmounter {
  readonly #path: string
  readonly #shell: ChildProcess
  readonly #ended: Promise<string>

  private constructor(path: string, shell: ChildProcess) {
    this.#path = path
    this.#shell = shell
    let said = ''
    shell.stderr?.on('data', (text) => {
      said += text
    })
    this.#ended = new Promise((resolve) => {
      shell.on('close', (code) => resolve(code === 0 ? '' : said.trim() || `its program ended with ${code}`))
    })
    // The TPM decides how long this process lasts.
    shell.unref()
  }

  /** Call it before there is a mount. @throws Error: the shell cannot be started */
  static async start(path: string): Promise<Unmounter> {
    keepDescriptors()
    const unmount = process.geteuid?.() === 0 ? AS_ROOT : AS_USER
    const shell = spawn('/bin/sh', ['-c', `${WAIT}; ${unmount}`, 'sh', path], {
      stdio: ['pipe', 'ignore', 'pipe'],
      detached: true,
      cwd: '/',
    })
    // It may have been killed.
    shell.stdin?.on('error', () => {})
    await new Promise<void>((resolve, reject) => {
      shell.once('spawn', resolve)
      shell.once('error', reject)
    })
    return new Unmounter(path, shell)
  }

  /** There is no mount. */
  giveUp(): void {
    this.#shell.kill('SIGKILL')
  }

  /** Takes the mount away. */
  async unmount(): Promise<void> {
    this.#shell.stdin?.end()
    const failure = await within(LIMIT_MS, this.#ended, 'it takes too long')
    if (failure !== '')
      log.warn(`Cannot unmount "${this.#path}": ${failure}; \`umount -l ${this.#path}\` does it by hand`)
  }
}

/** A descriptor that the user has handed in, such as that of --ready-fd, would stay open in the shell. */
function keepDescriptors(): void {
  for (const fd of readdirSync('/proc/self/fd').map(Number)) if (fd > 2) native.setCloseOnExec(fd, true)
}
