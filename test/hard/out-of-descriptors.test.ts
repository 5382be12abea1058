/** A supervisor that has no descriptors left: those who connect wait, a TPM that needs some ends alone, and it all goes on afterwards. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { startFleet } from '../support/fleet.ts'
import { descendants, nameOf } from '../support/processes.ts'
import { RawConnection } from '../support/raw-connection.ts'
import { waitFor } from '../support/wait.ts'

/** How often the process has given way because it had nothing to do. @see proc(5), voluntary_ctxt_switches */
const sleeps = (pid: number): number =>
  Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

it('a fleet without descriptors', async (t) => {
  const fleet = await startFleet(t, { tpms: ['a', 'b'] })
  const node = descendants(fleet.swtpm.pid).find((pid) => nameOf(pid) === 'node') as number
  const engineOfB = (await fleet.list()).find(({ name }) => name === 'b')?.engine as number
  const limit = (soft: number | string): unknown =>
    execFileSync('prlimit', ['--pid', `${node}`, `--nofile=${soft}:`])
  const numbers = readdirSync(`/proc/${node}/fd`).map(Number)
  const before = /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${node}/limits`, 'utf8'))?.[1] as string
  // The numbers that are free, and what has taken them for good.
  limit(Array.from({ length: 4096 }, (_, fd) => fd).find((fd) => !numbers.includes(fd)) as number)

  const client = await RawConnection.open(fleet.describe('a').control)
  t.after(() => client.close())
  client.write(CMD.GET_CONFIG)
  // It does not spin: it sleeps again and again between two times that it tries.
  const slept = sleeps(node)
  await waitFor(() => sleeps(node) >= slept + 3, { what: 'the supervisor to wait' })

  process.kill(engineOfB, 'SIGKILL')
  await waitFor(() => /b: The engine has ended unexpectedly/.test(fleet.swtpm.stderr), {
    what: 'the end of b',
  })
  limit(before)
  assert.equal((await client.read(8)).readUInt32BE(), 0)
  await waitFor(
    async () => {
      const states = (await fleet.list()).map(({ name, state }) => `${name} ${state}`)
      return states.includes('a running') && /b (failed|running)/.test(states.join())
    },
    { what: 'the fleet to go on' },
  )
  assert.equal(await fleet.swtpm.stop(), 0)
  assert.doesNotMatch(fleet.swtpm.stderr, /Internal error/)
})
