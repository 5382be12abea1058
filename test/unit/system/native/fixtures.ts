/** What the tests of the addon share: descriptors and folders that go away with the test, and helper processes. */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { check, native, nativeAddonPath } from '../../../../src/system/native.ts'

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
