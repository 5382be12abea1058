/**
 * What keeper, supervisor and spawner may not do any more once they serve: read off the filters that the kernel has installed for them,
 * and tried under these.
 */
import assert from 'node:assert/strict'
import { constants } from 'node:os'
import { before, describe, it } from 'node:test'
import { noCompiler } from '../support/compilers.ts'
import { startFleet } from '../support/fleet.ts'
import { descendants, nameOf } from '../support/processes.ts'
import { suiteCleanup } from '../support/suite.ts'
import {
  ALLOW,
  cannotFetchFilters,
  FAIL,
  FOREIGN,
  KILL_PROCESS,
  SeccompFilter,
} from './support/seccomp-filter.ts'
import { callUnder, numbersOf } from './support/system-calls.ts'

const NO_SUCH_CALL = FAIL | constants.errno.ENOSYS
const X32 = 0x40000000
/** The newest that is let pass, and the first that Linux has learned since: fchmodat2, of Linux 6.6. */
const NEWEST = 451
const NEWER = [NEWEST + 1, 460, 511, 1000]

/** @see sched.h */
const NAMESPACES = {
  CLONE_NEWNS: 0x00020000,
  CLONE_NEWCGROUP: 0x02000000,
  CLONE_NEWUTS: 0x04000000,
  CLONE_NEWIPC: 0x08000000,
  CLONE_NEWUSER: 0x10000000,
  CLONE_NEWPID: 0x20000000,
  CLONE_NEWNET: 0x40000000,
}
const CLONE_SIGHAND = 0x800
const CLONE_THREAD = 0x10000

describe('the filter of system calls', { skip: noCompiler() || cannotFetchFilters() }, () => {
  const t = suiteCleanup()
  const filters = new Map<string, SeccompFilter>()
  let nr: ReturnType<typeof numbersOf>

  before(async () => {
    nr = numbersOf(
      ...['clone', 'clone3', 'io_uring_setup', 'execve', 'setuid', 'capset', 'chroot', 'fork', 'getppid'],
      ...['unshare', 'setns', 'mount', 'ptrace', 'bpf', 'personality', 'process_vm_readv', 'init_module'],
    )
    // Of a fleet there is one of each. The keeper of one TPM has the same filter as that of a fleet.
    const { swtpm } = await startFleet(t, { tpms: ['a'] })
    const named = (name: string) => descendants(swtpm.pid).find((pid) => nameOf(pid) === name) as number
    filters.set('keeper', new SeccompFilter(swtpm.pid))
    filters.set('supervisor', new SeccompFilter(named('node')))
    filters.set('spawner', new SeccompFilter(named('tpm-spawner')))
  })

  for (const name of ['keeper', 'supervisor', 'spawner']) {
    describe(`of the ${name}`, () => {
      const filter = () => filters.get(name) as SeccompFilter

      it('knows no namespaces, mounts, other processes, nor ways into the kernel', () => {
        for (const call of [
          'unshare',
          'setns',
          'mount',
          'ptrace',
          'bpf',
          'personality',
          'process_vm_readv',
          'init_module',
        ])
          assert.deepEqual([...filter().verdicts({ nr: nr[call] as number })], [KILL_PROCESS], call)
        assert.equal(callUnder(filter().bytes, nr.unshare as number, NAMESPACES.CLONE_NEWUTS), 'SIGSYS')
      })

      it('makes no namespaces by clone()', () => {
        for (const [flag, value] of Object.entries(NAMESPACES))
          for (const others of [0, CLONE_THREAD]) {
            const args = process.arch === 's390x' ? [0, value | others] : [value | others]
            assert.equal(filter().verdict({ nr: nr.clone as number, args }), KILL_PROCESS, flag)
          }
        assert.equal(callUnder(filter().bytes, nr.clone as number, NAMESPACES.CLONE_NEWUSER), 'SIGSYS')
      })

      it('says of calls whose arguments it cannot see that there are none', () => {
        for (const call of ['clone3', 'io_uring_setup']) {
          assert.deepEqual([...filter().verdicts({ nr: nr[call] as number })], [NO_SUCH_CALL], call)
          assert.equal(callUnder(filter().bytes, nr[call] as number, 0, 0), constants.errno.ENOSYS)
        }
      })

      it('says the same of calls that it does not know', () => {
        for (const number of NEWER)
          assert.deepEqual([...filter().verdicts({ nr: number })], [NO_SUCH_CALL], `${number}`)
        // fchmodat2() of a descriptor that is none would be EBADF.
        assert.equal(callUnder(filter().bytes, NEWEST + 1, -1, 0, 0, 0), constants.errno.ENOSYS)
        assert.deepEqual([...filter().verdicts({ nr: NEWEST })], [ALLOW])
      })

      it('has no calls of other architectures', () => {
        const getppid = nr.getppid as number
        assert.deepEqual([...filter().verdicts({ nr: getppid, architecture: FOREIGN })], [KILL_PROCESS])
        if (process.arch === 'x64')
          assert.deepEqual([...filter().verdicts({ nr: getppid + X32 })], [KILL_PROCESS])
      })

      it('lets it do its work', () => {
        const starts = name === 'supervisor' ? KILL_PROCESS : ALLOW
        for (const call of ['execve', 'setuid', 'capset', 'chroot'])
          assert.deepEqual([...filter().verdicts({ nr: nr[call] as number })], [starts], call)
        assert.equal(filter().verdict({ nr: nr.clone as number, args: [0] }), starts)
        assert.equal(filter().verdict({ nr: nr.clone as number, args: [CLONE_THREAD] }), ALLOW)
        // The kernel refuses this one, not the filter.
        const thread = CLONE_SIGHAND | CLONE_THREAD
        assert.equal(callUnder(filter().bytes, nr.clone as number, thread), constants.errno.EINVAL)
      })
    })
  }
})
