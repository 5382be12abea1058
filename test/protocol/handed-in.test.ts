/** Descriptors that options name: what is said of one that is not open, or is no use for the option. */
import assert from 'node:assert/strict'
import { closeSync, constants, openSync, readdirSync } from 'node:fs'
import { describe, it } from 'node:test'
import { Swtpm, temporaryDirectory } from '../support/swtpm.ts'

const NOT_A_SOCKET = 'it is a character device, not a socket'
const READ_ONLY = 'it is open for reading only'
const WRITE_ONLY = 'it is open for writing only'
/** Node has opened files and pipes with low numbers for itself. */
const FREE = 4
const { O_RDONLY, O_WRONLY } = constants

/** What is refused as descriptor 3 of each option, besides a number that is not open. */
const cases: { name: string; args: string[]; what: string; file: string; flags: number; reason: string }[] = (
  [
    ['--ctrl fd', '--ctrl type=unixio,fd=N', 'the control channel', '/dev/null', O_RDONLY, NOT_A_SOCKET],
    [
      '--ctrl clientfd',
      '--ctrl type=unixio,clientfd=N',
      'the control channel',
      '/dev/null',
      O_RDONLY,
      NOT_A_SOCKET,
    ],
    ['--server', '--server type=unixio,fd=N', 'the data channel', '/dev/null', O_RDONLY, NOT_A_SOCKET],
    [
      '--fd',
      '--fd N',
      'the data channel',
      '/',
      O_RDONLY,
      'it is a directory, not a socket or a character device',
    ],
    ['--log', '--log fd=N', 'the log', '/dev/null', O_RDONLY, READ_ONLY],
    ['--pcap', '--pcap fd=N', 'the pcap file', '/dev/null', O_RDONLY, READ_ONLY],
    ['--pid', '--pid fd=N', 'the pid file', '/', O_RDONLY, 'it is a directory'],
    ['--ready-fd', '--ready-fd N', '--ready-fd', '/dev/null', O_RDONLY, READ_ONLY],
    ['--key', '--key pwdfd=N', 'the state key', '/dev/null', O_WRONLY, WRITE_ONLY],
    ['--migration-key', '--migration-key fd=N', 'the migration key', '/', O_RDONLY, 'it is a directory'],
  ] as const
).map(([name, args, what, file, flags, reason]) => ({
  name,
  args: args.split(' '),
  what,
  file,
  flags,
  reason,
}))

describe('a descriptor that an option names', () => {
  for (const { name, args, what, file, flags, reason } of cases) {
    it(`is refused before anything is made: ${name}`, async (t) => {
      const directory = temporaryDirectory(t)
      const refusal = async (fd: number, stdio: number[]): Promise<string> => {
        const chosen = args.map((arg) => arg.replace(/N$/, String(fd)))
        const server =
          args[0] === '--server' || args[0] === '--fd'
            ? []
            : ['--server', `type=unixio,path=${directory}/data`]
        const swtpm = new Swtpm(
          ['socket', '--tpm2', '--tpmstate', `dir=${directory}`, ...server, ...chosen],
          { stdio },
        )
        t.after(() => swtpm.stop('SIGKILL'))
        assert.equal(await swtpm.exited, 1)
        return swtpm.stderr
      }
      const wrong = openSync(file, flags)
      const [free, useless] = await Promise.all([refusal(FREE, []), refusal(3, [wrong])])
      closeSync(wrong)
      const beginning = (fd: number): string => `swtpm: Cannot use descriptor ${fd} for ${what}: `
      assert.match(free, new RegExp(`^${beginning(FREE)}it is not open; the program that starts`))
      assert.equal(useless, `${beginning(3)}${reason}\n`)
      assert.deepEqual(readdirSync(directory), [])
    })
  }
})
