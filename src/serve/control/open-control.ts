/** Opens the control channel that the command line asks for, and serves it. */
import { closeSync } from 'node:fs'
import type { ControlEndpoint } from '../config.ts'
import type { Session } from '../session.ts'
import { openEndpoint } from '../socket/open-endpoint.ts'
import { ControlServer } from './control-server.ts'

/** A control channel whose socket exists, so that clients can connect, but is not served yet. */
export interface OpenControl {
  /** Begins to answer: the TPM has been powered on, if the flags ask for that. */
  serve(): void
}

/** @throws SwtpmError SWTPM_ERR_SOCKET */
export function openControl(session: Session, config: ControlEndpoint | undefined): OpenControl {
  if (config === undefined) return { serve() {} }
  const { fd, connected, remove } = openEndpoint(config)
  let server: ControlServer | undefined
  session.onEnd(() => {
    if (server === undefined) closeSync(fd)
    else server.close()
    remove()
  })
  return {
    serve() {
      const { engine } = session.tpm
      server = new ControlServer({
        tpm: session.tpm,
        socket: connected ? { clientFd: fd } : { listenFd: fd },
        async setDataFd(dataFd) {
          try {
            return await engine.attach('stream', dataFd)
          } finally {
            closeSync(dataFd)
          }
        },
        onShutdown: () => void session.end(0),
        onDisconnect() {
          if (config.terminate || connected) void session.end(0)
        },
      })
    },
  }
}
