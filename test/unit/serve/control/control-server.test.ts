/** What arrives while a command is executed. */
import { closeSync, openSync } from 'node:fs'
import { it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ControlServer } from '../../../../src/serve/control/control-server.ts'
import { check } from '../../../../src/system/native/check.ts'
import { native } from '../../../../src/system/native/load.ts'
import type { Tpm } from '../../../../src/tpm/tpm.ts'
import { CMD } from '../../../support/control-commands.ts'
import { waitFor } from '../../../support/wait.ts'

it('a descriptor that comes with the next command is for that', async (t) => {
  const [ours, theirs] = check(native.socketPair(), 'make a control connection')
  native.setNonBlocking(theirs, true)
  let asked = 0
  let goOn = (): void => {}
  const taken: number[] = []
  const server = new ControlServer({
    tpm: { allows: () => true, stop: async () => 0 } as unknown as Tpm,
    sockets: { clientFd: theirs },
    engineNeeded: () =>
      new Promise((resolve) => {
        asked++
        goOn = resolve
      }),
    async setDataFd(fd) {
      taken.push(fd)
      closeSync(fd)
      return 0
    },
    onShutdown() {},
    onDisconnect() {},
  })
  t.after(() => {
    server.close()
    closeSync(ours)
  })
  const send = (code: string, fds: number[]): unknown =>
    check(native.sendMessage(ours, Buffer.from(code, 'hex'), 0, 4, fds), 'send a command')
  send(CMD.STOP, [])
  await waitFor(() => asked === 1, { what: 'STOP to be executed' })
  const fd = openSync('/dev/null', 'r')
  send(CMD.SET_DATAFD, [fd])
  closeSync(fd)
  // It has arrived, or comes later: it is for SET_DATAFD in any case.
  for (let i = 0; i < 20; i++) await turn()
  goOn()
  await waitFor(() => asked === 2, { what: 'SET_DATAFD to be executed' })
  goOn()
  await waitFor(() => taken.length === 1, { what: 'the descriptor' })
})
