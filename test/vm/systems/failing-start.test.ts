/**
 * Starts that make a device, of which one call fails, from an empty root directory and with a change of user: they end with a
 * sentence, and neither a process nor the device is left. What all interfaces have in common is in hard/failing-start.test.ts.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, it } from 'node:test'
import {
  type Call,
  callsOf,
  checkFailure,
  errnosOf,
  type StartLine,
} from '../../hard/support/failing-start.ts'
import { noCompiler } from '../../support/compilers.ts'
import { temporaryDirectory } from '../../support/swtpm.ts'
import { waitFor } from '../../support/wait.ts'

const USER = 54_321

/** A root directory with two nodes. */
function makeRoot(place: string, maker: string): void {
  mkdirSync(join(place, 'dev'))
  for (const name of ['urandom', maker]) {
    const { rdev } = statSync(`/dev/${name}`)
    const numbers = [(rdev >> 8) & 0xfff, (rdev & 0xff) | ((rdev >> 12) & 0xfff00)].map(String)
    execFileSync('mknod', ['-m', '666', join(place, 'dev', name), 'c', ...numbers])
  }
  chownSync(place, USER, USER)
}

const common = (place: string): string[] => [
  ...['--tpm2', '--chroot', place, '--runas', String(USER), '--tpmstate', 'dir=/'],
  ...['--pid', 'file=/pid', '--log', 'file=/log'],
]

const line = (maker: string, args: (place: string) => string[]): StartLine => ({
  title: `swtpm ${args('').slice(0, 2).join(' ')}`,
  program: 'swtpm',
  args: (place) => [...args(place), ...common(place)],
  prepare: (place) => makeRoot(place, maker),
  ends: 'SIGTERM',
  log: 'log',
  leaves: /^(tmp|log|dev(\/\w+)?|\.lock|tpm2-00\.\w+)$/,
})

const cuseName = (place: string): string => `vtpm${process.pid}f${basename(place)}`
const LINES: readonly (readonly [maker: string, line: StartLine])[] = [
  [
    'cuse',
    line('cuse', (place) => ['cuse', '--foreground', '-n', cuseName(place), '--flags', 'startup-clear']),
  ],
  ['vtpmx', line('vtpmx', () => ['chardev', '--vtpm-proxy'])],
]

/** What concerns the device, and what comes after it is there. */
const CALLS = ['chroot', 'ioctl', 'seccomp', 'setresuid', 'write-to-device']
const concerns = ({ name, path }: Call): boolean =>
  CALLS.includes(name) || (name === 'open' && /^\/dev(\/(cuse|vtpmx))?$/.test(path))

const devices = (): string[] => readdirSync('/dev').filter((name) => /^v?tpm\d/.test(name))

describe('the start of a device of which one call fails', { skip: noCompiler() }, () => {
  const seen = new Set<string>()
  for (const [maker, start] of LINES) {
    it(start.title, async (t) => {
      const root = temporaryDirectory(t)
      const before = devices()
      const calls = (await callsOf(start, join(root, '0'))).filter(concerns)
      // Besides what both have in common, a device that is there already must go when a later call fails.
      const cases = calls.filter(
        ({ name, path }) => name === 'setresuid' || !seen.has(`${name} ${path}`.replace(root, '')),
      )
      for (const { name, path } of cases) seen.add(`${name} ${path}`.replace(root, ''))
      assert.ok(cases.some(({ path }) => path === `/dev/${maker}`))
      let number = 0
      const waiting = cases.values()
      const work = async (): Promise<void> => {
        for (const call of waiting) {
          const place = join(root, String(++number))
          const path = call.path.replace(join(root, '0'), place)
          const errno = call.path === `/dev/${maker}` ? 'ENOENT' : errnosOf(call)[0]!
          const stderr = await checkFailure(start, { ...call, path }, errno, place)
          if (errno === 'ENOENT')
            assert.match(stderr, /the new root directory needs this node: `mknod \S+ c \d+ \d+`/)
          assert.ok(!existsSync(`/dev/${cuseName(place)}`), `${call.name} ${call.path}`)
        }
      }
      await Promise.all([work(), work()])
      await waitFor(() => devices().length === before.length, { what: `${devices()}: the devices to go` })
      t.diagnostic(`${cases.length} calls`)
    })
  }
})
