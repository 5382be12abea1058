/**
 * A root directory in the guest's memory: programs of the host with the libraries that they need, at their own paths, and
 * busybox for every other usual command.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { directory, type Entry, file, symlink } from './cpio.ts'
import { answerOf } from './host-program.ts'
import { MachineFault } from './machine-fault.ts'

const ELF_MAGIC = Buffer.from('\x7fELF', 'latin1')
/** What a root directory has. */
const DIRECTORIES = ['/dev', '/etc', '/proc', '/root', '/run', '/sys', '/usr/bin', '/var/tmp']
/** Users, the loader's index of libraries, and what OpenSSL reads. */
const SETTINGS = [
  ...['/etc/passwd', '/etc/group', '/etc/ld.so.cache', '/etc/nsswitch.conf', '/etc/localtime'],
  ...['/etc/ssl/openssl.cnf', '/usr/lib/ssl/openssl.cnf'],
]
/** For the applets. */
const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox']
const SHELL = '/bin/sh'

export class MemoryRoot {
  readonly #entries = new Map<string, Entry>()

  constructor() {
    for (const path of ['/bin', '/sbin', '/lib', '/lib64', '/usr/sbin'])
      this.#optional(path, () => this.#parents(join(path, 'x')))
    for (const path of DIRECTORIES) this.#parents(join(path, 'x'))
    this.#put('/tmp', (name) => directory(name, 0o1777))
    for (const path of SETTINGS) this.#optional(path, () => this.#path(path))
    this.add(SHELL)
    const busybox = BUSYBOX.find((path) => this.#optional(path, () => this.add(path)))
    for (const applet of answerOf(busybox ?? 'busybox', ['--list'])
      .split('\n')
      .filter(Boolean))
      this.#put(`/usr/bin/${applet}`, (name) => symlink(name, busybox ?? '/bin/busybox'))
  }

  /**
   * Puts a file there, with the libraries or the interpreter that it needs, or a directory with all that is in it.
   * @throws MachineFault when it is not there or cannot be read
   */
  add(path: string): void {
    const added: string[] = []
    try {
      this.#path(resolve(path), added)
    } catch (cause) {
      if (cause instanceof MachineFault) throw cause
      throw new MachineFault(`Cannot put "${path}" into the guest's memory: ${(cause as Error).message}`, {
        cause,
      })
    }
    for (const library of librariesOf(added)) this.#path(library)
  }

  /** For what busybox has, too: the host's goes first. */
  entries(): readonly Entry[] {
    return [...this.#entries.values()]
  }

  #optional(path: string, work: () => void): boolean {
    const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined
    if (isThere) work()
    return isThere
  }

  #put(path: string, make: (name: string) => Entry, replace = false): void {
    if (replace || !this.#entries.has(path)) this.#entries.set(path, make(path.slice(1)))
  }

  /** The directories above a path, and where links among them lead. @returns the path without links above it */
  #parents(path: string): string {
    const folder = dirname(path)
    if (folder === '/') return path
    const above = this.#parents(folder)
    const status = lstatSync(above, { throwIfNoEntry: false })
    if (status?.isSymbolicLink()) {
      const target = readlinkSync(above)
      this.#put(above, (name) => symlink(name, target))
      return this.#parents(join(resolve(dirname(above), target), path.slice(folder.length + 1)))
    }
    this.#put(above, (name) => directory(name))
    return join(above, path.slice(folder.length + 1))
  }

  /** @param added files whose libraries are to follow */
  #path(path: string, added: string[] = []): void {
    const place = this.#parents(path)
    if (this.#entries.has(place) && !isApplet(this.#entries.get(place))) return
    const status = lstatSync(place)
    if (status.isSymbolicLink()) {
      const target = readlinkSync(place)
      this.#put(place, (name) => symlink(name, target), true)
      this.#path(resolve(dirname(place), target), added)
    } else if (status.isDirectory()) {
      this.#put(place, (name) => directory(name))
      for (const name of readdirSync(place)) this.#path(join(place, name), added)
    } else if (status.isFile()) {
      const data = readFileSync(place)
      this.#put(place, (name) => file(name, data, status.mode & 0o7777), true)
      if (data.subarray(0, ELF_MAGIC.length).equals(ELF_MAGIC)) added.push(place)
      const interpreter = interpreterOf(data)
      if (interpreter !== undefined && statSync(interpreter, { throwIfNoEntry: false })) this.add(interpreter)
    }
  }
}

/** A link that stands for a command which the host's own may still replace. */
const isApplet = (entry: Entry | undefined): boolean =>
  /\/busybox$/.test(entry?.data?.toString('latin1') ?? '')

/** What ldd(1) says that these files are loaded with. */
function librariesOf(files: readonly string[]): string[] {
  if (files.length === 0) return []
  const listed = answerOf('ldd', files)
  const found = [...listed.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map(([, library]) => library!)
  return [...new Set(found)]
}

/** Of a script: what its first line names. */
function interpreterOf(data: Buffer): string | undefined {
  if (data.toString('latin1', 0, 2) !== '#!') return undefined
  const [line = ''] = data.toString('latin1', 2, 256).split('\n', 1)
  const [program, first] = line.trim().split(/\s+/)
  if (program === undefined || !program.startsWith('/')) return undefined
  // "#!/usr/bin/env python3" is both.
  return first !== undefined && program.endsWith('/env') ? program : realOrUndefined(program)
}

function realOrUndefined(path: string): string | undefined {
  try {
    realpathSync(path)
    return path
  } catch {
    return undefined
  }
}
