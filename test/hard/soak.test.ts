/** Does it last: millions of commands leave the processes as they were. */
import { describe, it } from 'node:test'
import { startSocketTpm } from '../support/swtpm.ts'
import { figure, scaled } from './support/scale.ts'
import { describeSoak, soak } from './support/soak.ts'

const commands = scaled(10_000, 2_000_000)

describe('soak', { skip: process.getuid?.() !== 0 && 'looking at the processes takes root' }, () => {
  it(`${commands} commands over a socket`, async (t) => {
    const { swtpm, dataPath } = await startSocketTpm(t)
    figure('soak, socket', describeSoak([await soak(swtpm.pid, 'socket', dataPath, commands)]))
  })
})
