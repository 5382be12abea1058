/** A shared CUSE TPM whose processes are frozen under its clients: with the machine, or alone as a container is paused. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { STARTED, startCuseTpm } from '../support/cuse-tpm.ts'
import { descendants } from '../support/processes.ts'
import { openShared, type SharedDevice } from '../support/shared-device.ts'
import { FIRST_VIRTUAL_HANDLE } from '../support/space-client.ts'
import { noSuspend, rehearseSuspend } from '../support/suspend.ts'
import type { Cleanup } from '../support/swtpm.ts'
import { responseCode, TPM2 } from '../support/tpm-commands.ts'
import { waitFor } from '../support/wait.ts'

const CGROUPS = '/sys/fs/cgroup'
const TPM_RC_CANCELED = 0x909
/** Node reads for four clients at once; all of them wait in read(). */
const CLIENTS = 4

interface Client extends SharedDevice {
  readonly key: number
  readonly session: number
}

/** Clients that have something in the TPM. */
async function start(t: Cleanup): Promise<{ pid: number; path: string; clients: Client[] }> {
  const { swtpm, path } = await startCuseTpm(t, [...STARTED, '--resource-manager'])
  const clients: Client[] = []
  for (let i = 0; i < CLIENTS; i++) {
    const client = openShared(t, `${path}rm`)
    clients.push(Object.assign(client, { key: await client.newKey(), session: await client.newSession() }))
  }
  return { pid: swtpm.pid, path, clients }
}

async function assertTheyHaveTheirs(clients: readonly Client[]): Promise<void> {
  for (const client of clients) {
    assert.equal(client.key, FIRST_VIRTUAL_HANDLE)
    await client.succeed(TPM2.readPublic(client.key))
    await client.succeed(TPM2.policyGetDigest(client.session))
  }
}

/** A control group of its own for a process and its descendants. @returns what freezes and thaws them */
function freezer(t: Cleanup, pid: number): { freeze(): Promise<void>; thaw(): Promise<void> } {
  const group = join(CGROUPS, `frozen-${pid}`)
  const file = (name: string): string => join(group, name)
  mkdirSync(group)
  for (const member of [pid, ...descendants(pid)]) writeFileSync(file('cgroup.procs'), `${member}`)
  const set = async (word: '0' | '1'): Promise<void> => {
    writeFileSync(file('cgroup.freeze'), word)
    const isSo = (): boolean => readFileSync(file('cgroup.events'), 'utf8').includes(`frozen ${word}`)
    await waitFor(isSo, { what: `frozen ${word}` })
  }
  t.after(async () => {
    await set('0')
    for (const member of readFileSync(file('cgroup.procs'), 'utf8').split('\n').filter(Boolean))
      writeFileSync(join(CGROUPS, 'cgroup.procs'), member)
    rmdirSync(group)
  })
  return { freeze: () => set('1'), thaw: () => set('0') }
}

/** A program that makes a key, waits for a line, and then reads the public area of its key. */
function program(t: Cleanup, path: string) {
  const ask = (command: Buffer): string =>
    `printf '${command.toString('hex').replace(/../g, '\\x$&')}' >&3; dd bs=4096 count=1 <&3 2>/dev/null`
  const steps = [
    `exec 3<>${path}`,
    `${ask(TPM2.createPrimaryEcc)} >/dev/null`,
    'echo',
    'read',
    ask(TPM2.readPublic(FIRST_VIRTUAL_HANDLE)),
  ]
  const child = spawn('bash', ['-c', steps.join('; ')], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const said: Buffer[] = []
  child.stdout.on('data', (bytes) => said.push(bytes))
  const ended = once(child, 'close').then(() => Buffer.concat(said).subarray(1))
  return { child, ended, ready: once(child.stdout, 'data') }
}

it('clients that wait are answered when it goes on, and have what they had', async (t) => {
  const { pid, path, clients } = await start(t)
  const programs = Array.from({ length: 6 }, () => program(t, `${path}rm`))
  await Promise.all(programs.map(({ ready }) => ready))
  const { freeze, thaw } = freezer(t, pid)
  await freeze()
  for (const { child } of programs) child.stdin.write('\n')
  const [killed, ...others] = programs
  const wait = (): string => readFileSync(`/proc/${killed?.child.pid}/wchan`, 'utf8')
  await waitFor(() => wait() === 'request_wait_answer', { what: 'a client that waits for the engine' })
  // It ends with the others' waiting: closing a device of CUSE is a request, too.
  killed?.child.kill('SIGKILL')
  await thaw()
  await killed?.ended
  for (const { ended } of others) assert.equal(responseCode(await ended), 0)
  await assertTheyHaveTheirs(clients)
})

it('a suspend of the machine leaves clients what they have', { skip: noSuspend() }, async (t) => {
  const { clients } = await start(t)
  rehearseSuspend(t)
  await assertTheyHaveTheirs(clients)
})

it('a suspend under clients that wait ends their waiting, and nothing else', {
  skip: noSuspend(),
}, async (t) => {
  const { clients } = await start(t)
  const slow = clients.map(async ({ device }, i) => {
    device.write(TPM2.createPrimaryRsa(2048, Buffer.from(`slow ${i}`)))
    try {
      return await device.readLater()
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EINTR')
      return device.readLater()
    }
  })
  try {
    rehearseSuspend(t)
  } catch (error) {
    // The kernel freezes the engine first, and then waits in vain for those that wait for it.
    assert.equal((error as NodeJS.ErrnoException).code, 'EBUSY')
  }
  for (const response of await Promise.all(slow))
    assert.ok([0, TPM_RC_CANCELED].includes(responseCode(response)), response.toString('hex', 0, 10))
  await assertTheyHaveTheirs(clients)
})
