/** Opens the control channel that the command line asks for, and serves it. */
import { closeSync } from 'node:fs'
import { guarded } from '../../system/guard.ts'
import { removeSocketFile } from '../../system/io/socket-files.ts'
import type { ControlEndpoint } from '../config.ts'
import type { RestRecord } from '../rest/rest-record.ts'
import type { Session } from '../session.ts'
import { openEndpoint } from '../socket/open-endpoint.ts'
import { ControlServer, type ControlSockets } from './control-server.ts'

/** A control channel whose socket exists, so that clients can connect, but is not served yet. */
export interface OpenControl {
  /** Begins to answer: the TPM has been powered on, if the flags ask for that. */
  serve(): void
}

/** @throws SwtpmError SWTPM_ERR_SOCKET */
export function openControl(session: Session, config: ControlEndpoint | undefined): OpenControl {
  if (config === undefined) return { serve() {} }
  const { fd, connected, path } = openEndpoint(config)
  return prepared(session, config, connected ? { clientFd: fd } : { listenFd: fd }, path)
}

/** Goes on with the control channel that an earlier supervisor has opened. @throws SwtpmError */
export function resumeControl(
  session: Session,
  config: ControlEndpoint | undefined,
  record: RestRecord,
): OpenControl {
  if (config === undefined) return { serve() {} }
  const sockets: ControlSockets = {
    listenFd: record.has('control') ? record.take('control') : undefined,
    clientFd: record.has('controlClient') ? record.take('controlClient') : undefined,
  }
  return prepared(session, config, sockets, record.get<string | undefined>('controlPath'))
}

function prepared(
  session: Session,
  { terminate }: ControlEndpoint,
  sockets: ControlSockets,
  path: string | undefined,
): OpenControl {
  const { listenFd, clientFd } = sockets
  /** There will be no other client. */
  const single = listenFd === undefined
  let server: ControlServer | undefined
  session.onEnd(() => {
    if (path !== undefined) removeSocketFile(path)
    if (server !== undefined) server.close()
    else for (const fd of [listenFd, clientFd]) if (fd !== undefined) closeSync(fd)
  })
  session.onRest((record) => {
    const open = server?.save()
    if (open === undefined) return false
    if (open.clientFd !== undefined) {
      record.watch('controlClient', open.clientFd)
      record.client = terminate || single ? 'ends' : 'stays'
    }
    if (open.listenFd !== undefined) {
      if (open.clientFd === undefined) record.watch('control', open.listenFd)
      else record.keep('control', open.listenFd)
    }
    record.put('controlPath', path)
    if (path !== undefined) record.remove(path)
    return true
  })
  return {
    serve() {
      const { engine } = session.tpm
      server = new ControlServer({
        tpm: session.tpm,
        sockets,
        engineNeeded: () => session.engineNeeded(),
        async setDataFd(dataFd) {
          try {
            return await engine.attach('stream', dataFd)
          } finally {
            closeSync(dataFd)
          }
        },
        onShutdown: () => guarded(session.end(0)),
        onDisconnect() {
          if (terminate || single) guarded(session.end(0))
        },
      })
    },
  }
}
