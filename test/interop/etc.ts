/**
 * A system with another /etc and an empty /var/lib, in a mount namespace of its own: what is configured on the machine of the
 * tests does not matter, and is not touched.
 */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { temporaryDirectory } from '../support/swtpm.ts'
import type { Result } from './setup-site.ts'

/** Without an account. */
export const NOBODY = 12345
/** With an account, {@link System.home} being their home. */
export const SOMEBODY = { name: 'somebody', id: 12346 }

/** Why such a system cannot be had; false if it can. */
export const NO_SYSTEM =
  process.geteuid?.() === 0 && spawnSync('unshare', ['-m', 'setpriv', '--clear-groups', 'true']).status === 0
    ? false
    : 'it needs root and the right to mount, and unshare and setpriv of util-linux'

export interface Caller {
  /** Root unless given. */
  readonly uid?: number
  readonly env?: Readonly<Record<string, string>>
  /** A shell command that root runs before, in the same namespace. */
  readonly before?: string | undefined
}

export class System {
  /** What the callers may enter. */
  readonly folder: string
  readonly home: string
  readonly varLib: string

  constructor(t: TestContext, etc: Readonly<Record<string, string>> = {}) {
    this.folder = temporaryDirectory(t)
    chmodSync(this.folder, 0o755)
    this.home = this.folderOf(SOMEBODY.id, 'home')
    this.varLib = this.folderOf(0, 'varlib')
    const own = this.folderOf(0, 'etc')
    for (const name of ['group', 'nsswitch.conf', 'ld.so.cache', 'localtime']) {
      if (existsSync(`/etc/${name}`)) copyFileSync(`/etc/${name}`, join(own, name))
    }
    const { name, id } = SOMEBODY
    const accounts = [
      `root:x:0:0::${this.folderOf(0, 'root')}:/bin/sh`,
      `${name}:x:${id}:${id}::${this.home}:/bin/sh`,
    ]
    writeFileSync(join(own, 'passwd'), accounts.map((line) => `${line}\n`).join(''))
    for (const [file, text] of Object.entries(etc)) writeFileSync(join(own, file), text)
  }

  folderOf(uid: number, name: string, mode = 0o755): string {
    const path = join(this.folder, name)
    mkdirSync(path)
    chownSync(path, uid, uid)
    chmodSync(path, mode)
    return path
  }

  /** Runs a program with no environment but PATH and what the caller brings. */
  run(caller: Caller, program: string, ...args: string[]): Result {
    const [command, words] = this.#command(caller, program, args)
    const { status, stdout, stderr } = spawnSync(command, words, {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, ...caller.env },
    })
    return { status, stdout, stderr }
  }

  /** @returns the exit code */
  async start(caller: Caller, program: string, ...args: string[]): Promise<number | null> {
    const [command, words] = this.#command(caller, program, args)
    const child = spawn(command, words, {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { PATH: process.env.PATH, ...caller.env },
    })
    return await new Promise((resolve) => child.once('exit', resolve))
  }

  #command({ uid, before }: Caller, program: string, args: readonly string[]): [string, string[]] {
    const mounts = `mount --bind "$0/etc" /etc && mount --bind "$0/varlib" /var/lib`
    const become =
      uid === undefined ? [] : ['setpriv', '--reuid', `${uid}`, '--regid', `${uid}`, '--clear-groups']
    const script = `${mounts} && ${before ?? 'true'} && exec "$@"`
    return ['unshare', ['-m', 'sh', '-c', script, this.folder, ...become, program, ...args]]
  }
}
