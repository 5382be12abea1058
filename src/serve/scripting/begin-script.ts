/** Puts the scripts of a command line to work on a TPM that is about to be served. */
import { guarded } from '../../system/guard.ts'
import type { Tpm } from '../../tpm/tpm.ts'
import type { ScriptConfig, UnixEndpoint } from '../config.ts'
import { openEndpoint } from '../socket/open-endpoint.ts'
import { checkScript } from './check-script.ts'
import type { Bottom } from './open-bottom.ts'
import { Scripting } from './scripting.ts'
import { controlOf, type Plug } from './served-tpm-control.ts'
import { serveScriptClients } from './socket/script-server.ts'

/** The TPM's session, as far as scripts need it. */
export interface ScriptedSession {
  readonly tpm: Tpm
  readonly plug: Plug | undefined
  onEnd(cleanup: () => void): void
  onRest(leave: () => boolean): void
  end(code: number): Promise<void>
  unplugged(): void
}

/** @throws SwtpmError SWTPM_ERR_SCRIPT, SWTPM_ERR_SOCKET */
export function beginScript(
  session: ScriptedSession,
  config: ScriptConfig,
  bottom: Bottom | undefined,
): Scripting {
  checkScript(config)
  const ending = new AbortController()
  const scripting = new Scripting(
    session.tpm,
    controlOf({
      tpm: session.tpm,
      get plug() {
        return session.plug
      },
      unplugged: () => session.unplugged(),
      ending: ending.signal,
    }),
    config,
    bottom && { text: bottom.text, responder: bottom.responder(() => guarded(session.end(1))) },
  )
  if (config.socket !== undefined) openScriptSocket(session, scripting, config.socket)
  session.onEnd(() => {
    ending.abort('the TPM ends')
    scripting.faults.reportIdle()
    bottom?.close()
  })
  // Scripts are in this process.
  session.onRest(() => false)
  return scripting
}

/** Served at once: what is asked before the TPM's first command holds for it. @throws SwtpmError SWTPM_ERR_SOCKET */
function openScriptSocket(session: ScriptedSession, scripting: Scripting, endpoint: UnixEndpoint): void {
  const { fd, remove } = openEndpoint(endpoint)
  const server = serveScriptClients(fd, scripting)
  session.onEnd(() => {
    server.close()
    remove()
  })
}
