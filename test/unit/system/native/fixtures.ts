/** What the tests of the addon share: descriptors and folders that go away with the test, and helper processes. */
import { spawnSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { check } from '../../../../src/system/native/check.ts'
import { native, nativeAddonPath } from '../../../../src/system/native/load.ts'

/** Closes `fd` after the test, unless the test has done so. Passes it on. */
export function owned(t: TestContext, fd: number): number {
  t.after(() => {
    try {
      closeSync(fd)
    } catch {
      // The test closed it.
    }
  })
  return fd
}

export function socketPair(t: TestContext): [ours: number, theirs: number] {
  const [ours, theirs] = check(native.socketPair(), 'make a socket pair')
  return [owned(t, ours), owned(t, theirs)]
}

/** The flags of an open descriptor, as open(2) takes them, from /proc. */
export function descriptorFlags(fd: number): number {
  const [, flags] = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))!
  return Number.parseInt(flags!, 8)
}

const O_CLOEXEC = 0o2000000

export const isCloseOnExec = (fd: number): boolean => (descriptorFlags(fd) & O_CLOEXEC) !== 0
export const isNonBlocking = (fd: number): boolean => (descriptorFlags(fd) & constants.O_NONBLOCK) !== 0

/** The TCP port that a socket is bound to, from /proc. */
export function localPort(fd: number): number {
  const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))![1]
  for (const table of ['tcp', 'tcp6']) {
    for (const line of readFileSync(`/proc/self/net/${table}`, 'utf8').split('\n')) {
      const columns = line.trim().split(/\s+/)
      if (columns[9] === inode) return Number.parseInt(columns[1]!.split(':')[1]!, 16)
    }
  }
  throw new Error(`descriptor ${fd} is not bound to a TCP port`)
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'swtpm-native-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function send(fd: number, text: string, fds: number[] = []): number {
  const bytes = Buffer.from(text)
  return native.sendMessage(fd, bytes, 0, bytes.length, fds)
}

export function receive(fd: number): { result: number; text: string; fds: number[] } {
  const bytes = Buffer.alloc(256)
  const fds: number[] = []
  const result = native.receiveMessage(fd, bytes, 0, bytes.length, fds)
  return { result, text: bytes.toString('latin1', 0, Math.max(result, 0)), fds }
}

/**
 * Runs `script` in a Node process of its own, with the addon as `native` and `args`, and returns what it wrote as JSON.
 * For what a process can do once only, or only to another process.
 */
export function inOtherProcess(script: string, ...args: string[]): unknown {
  const preamble = 'const [, addon, ...args] = process.argv; const native = require(addon);'
  // Few descriptors, for the test that uses them up; Node raises the soft limit to the hard one.
  const shell = ['-c', 'ulimit -n 128; exec "$0" "$@"', process.execPath]
  const node = ['--expose-gc', '-e', preamble + script, nativeAddonPath(), ...args]
  const child = spawnSync('/bin/sh', [...shell, ...node], { encoding: 'utf8', timeout: 30_000 })
  if (child.status !== 0)
    throw new Error(`helper ended with ${child.status ?? child.signal}: ${child.stderr}`)
  return JSON.parse(child.stdout)
}

export const withoutRoot =
  process.getuid?.() === 0 ? false : 'needs root: run the tests as root to include it'
