/** Puts the scripts of a command line to work on a TPM that is about to be served. */
import { guarded } from '../../system/guard.ts'
import type { Tpm } from '../../tpm/tpm.ts'
import { checkScript } from './check-script.ts'
import { type ScriptConfig, Scripting } from './scripting.ts'
import { controlOf, type Plug } from './served-tpm-control.ts'

/** The TPM's session, as far as scripts need it. */
export interface ScriptedSession {
  readonly tpm: Tpm
  readonly plug: Plug | undefined
  onEnd(cleanup: () => void): void
  onRest(leave: () => boolean): void
  end(code: number): Promise<void>
}

/** @throws SwtpmError SWTPM_ERR_SCRIPT */
export function beginScript(session: ScriptedSession, config: ScriptConfig): Scripting {
  checkScript(config)
  const ending = new AbortController()
  const scripting = new Scripting(
    session.tpm,
    controlOf({
      tpm: session.tpm,
      get plug() {
        return session.plug
      },
      unplugged: () => guarded(session.end(0)),
      ending: ending.signal,
    }),
    config,
  )
  session.onEnd(() => {
    ending.abort('the TPM ends')
    scripting.faults.reportIdle()
  })
  // Scripts are in this process.
  session.onRest(() => false)
  return scripting
}
