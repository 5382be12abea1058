/** `swtpm socket`: TPM commands over TCP or Unix sockets, pumped by the engine; verbs over the control channel. */

import { closeSync } from 'node:fs'
import { ATTACH_FLAG } from '../../../contract/engine-channel.ts'
import { TPM_SUCCESS } from '../../../contract/tpm-result.ts'
import { SwtpmError } from '../../system/errors.ts'
import { guarded } from '../../system/guard.ts'
import { removeSocketFile } from '../../system/io/socket-files.ts'
import { whenReadable } from '../../system/io/when-readable.ts'
import { native } from '../../system/native/load.ts'
import type { DataEndpoint, SocketConfig } from '../config.ts'
import { openControl, resumeControl } from '../control/open-control.ts'
import type { RestRecord } from '../rest/rest-record.ts'
import type { Plug } from '../scripting/served-tpm-control.ts'
import type { Session } from '../session.ts'
import { type OpenEndpoint, openEndpoint } from './open-endpoint.ts'

/** Serves until the session ends. @throws SwtpmError */
export async function serveSocket(session: Session, config: SocketConfig): Promise<void> {
  const { engine } = session.tpm
  if (config.terminate) engine.on('clientClosed', () => guarded(session.end(0)))

  // Both sockets exist before the TPM is powered on: a management tool waits for the files, not for the TPM.
  const data = config.server === undefined ? undefined : openEndpoint(config.server)
  if (data !== undefined && config.server !== undefined) {
    if (session.script !== undefined && config.server.kind !== 'fd') {
      session.plug = plugOf(session, config, config.server, data)
    } else {
      session.onEnd(() => closeSync(data.fd))
      ownDataPath(session, data.path)
    }
  }
  const control = openControl(session, config.control)
  await session.powerOn()
  // A manager that waits for this file finds a TPM with its state.
  session.writePidFile()
  control.serve()

  if (data === undefined) return
  let stopWaiting = (): void => {}
  await session.withEngine(() => {
    stopWaiting()
    return attach(session, config, data)
  })
  if (!session.startsEngineLate) return
  // Its failure ends the TPM.
  stopWaiting = whenReadable(data.fd, () => {
    session.engineNeeded().catch(() => {})
  })
  session.onEnd(() => stopWaiting())
}

/** The socket for TPM commands, for a script that takes it away. */
function plugOf(session: Session, config: SocketConfig, endpoint: DataEndpoint, first: OpenEndpoint): Plug {
  let open: OpenEndpoint | undefined = first
  session.onEnd(() => {
    if (open === undefined) return
    closeSync(open.fd)
    open.remove()
  })
  return {
    async out() {
      await session.tpm.engine.detach()
      if (open === undefined) return
      closeSync(open.fd)
      open.remove()
      open = undefined
    },
    async in() {
      open = openEndpoint(endpoint)
      await attach(session, config, open)
    },
  }
}

/** Has the engine serve the data channel. @throws SwtpmError */
async function attach(session: Session, config: SocketConfig, data: OpenEndpoint): Promise<void> {
  // The engine waits in accept() and read().
  native.setNonBlocking(data.fd, false)
  const flags =
    (config.server?.disconnect ? ATTACH_FLAG.disconnect : 0) |
    (config.terminate ? ATTACH_FLAG.reportClients : 0)
  const kind = data.connected ? 'stream' : config.resourceManager ? 'managedListener' : 'listener'
  const result = await session.tpm.engine.attach(kind, data.fd, flags)
  if (result !== TPM_SUCCESS) {
    throw new SwtpmError('SWTPM_ERR_SOCKET', `Cannot serve TPM commands: the engine answered ${result}`)
  }
}

/** Goes on where an earlier supervisor has served. @throws SwtpmError */
export function resumeSocket(session: Session, config: SocketConfig, record: RestRecord): void {
  if (config.terminate) session.tpm.engine.on('clientClosed', () => guarded(session.end(0)))
  ownDataPath(session, record.get<string | undefined>('dataPath'))
  const control = resumeControl(session, config.control, record)
  session.resumePidFile(record)
  control.serve()
}

/** The file of the socket that takes TPM commands is ours to remove. The engine serves the socket itself. */
function ownDataPath(session: Session, path: string | undefined): void {
  if (path === undefined) return
  session.onEnd(() => removeSocketFile(path))
  session.onRest((record) => {
    record.put('dataPath', path)
    record.remove(path)
    return true
  })
}
