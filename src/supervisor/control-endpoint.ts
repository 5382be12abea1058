/** Opens the control channel that the command line asks for, and serves it. */
import { closeSync } from 'node:fs'
import { ControlServer } from '../control/control-server.ts'
import { TPM_SUCCESS } from '../protocol/tpm-result.ts'
import type { ControlServer as ControlConfig } from './config.ts'
import { openEndpoint } from './endpoint.ts'
import type { Session } from './session.ts'

/** @returns what stops listening and closes the client */
export function serveControl(session: Session, config: ControlConfig | undefined): void {
  if (config === undefined) return
  const { tpm } = session
  const { fd, connected, remove } = openEndpoint(config)
  const server = new ControlServer({
    tpm,
    socket: connected ? { clientFd: fd } : { listenFd: fd },
    async setDataFd(dataFd) {
      const result = await tpm.engine.attach('stream', dataFd)
      closeSync(dataFd)
      return result
    },
    onShutdown: () => void session.end(0),
    onDisconnect() {
      if (config.terminate || connected) void session.end(TPM_SUCCESS)
    },
  })
  session.onEnd(() => {
    server.close()
    remove()
  })
}
