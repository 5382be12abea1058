/** Kernels before 5.9, which have no close_range(): descriptors that were handed in by mistake stay out all the same. */
import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { noCompiler } from '../support/compilers.ts'
import { isListening } from '../support/listening.ts'
import { descendants, enginePid, nameOf } from '../support/processes.ts'
import { roundTrip } from '../support/round-trip.ts'
import { bin, Swtpm, temporaryDirectory } from '../support/swtpm.ts'
import { numbersOf, withoutSystemCall } from './support/system-calls.ts'

/** What the descriptors of a process are. */
const filesOf = (pid: number): string[] =>
  readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return [] // closed meanwhile
    }
  })

describe('without close_range()', { skip: noCompiler() }, () => {
  for (const kind of ['socket', 'fleet'] as const) {
    it(`no process of a ${kind} but Node's own keeps what was handed in`, async (t) => {
      const directory = temporaryDirectory(t)
      const data = join(directory, 'data')
      const program = withoutSystemCall(directory, bin('swtpm'), numbersOf('close_range').close_range)
      const stray = openSync(join(directory, 'stray'), 'w')
      t.after(() => closeSync(stray))
      const tpm = ['socket', '--tpm2', '--tpmstate', `dir=${directory}`, '--flags', 'startup-clear']
      tpm.push('--server', `type=unixio,path=${data}`)
      const fleet = ['fleet', '--ctrl', `type=unixio,path=${directory}/fleet`]
      // Also behind the numbers of what an engine is given.
      const swtpm = new Swtpm(kind === 'socket' ? tpm : fleet, { program, stdio: new Array(10).fill(stray) })
      t.after(() => swtpm.stop('SIGKILL'))
      if (kind === 'fleet') {
        await swtpm.until(
          () => isListening(`${directory}/fleet`) && swtpm.stderr.includes('Fleet of'),
          'it serves',
        )
        const add = new Swtpm(['fleet', 'add', 'a', ...fleet.slice(1), '--', ...tpm])
        assert.equal(await add.exited, 0, add.stderr)
      } else {
        await swtpm.until(() => isListening(data), 'it listens')
      }
      assert.equal(await roundTrip(data), 0)
      const strayFile = join(directory, 'stray')
      const engine = await enginePid(swtpm.pid)
      const spawner = descendants(swtpm.pid).find((pid) => nameOf(pid) === 'tpm-spawner')
      for (const pid of [engine, ...(kind === 'fleet' ? [spawner as number] : [])])
        assert.ok(!filesOf(pid).includes(strayFile), `${nameOf(pid)}: ${filesOf(pid).join(' ')}`)
      assert.equal(await swtpm.stop(), 0)
    })
  }
})
