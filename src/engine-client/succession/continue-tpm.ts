/** What an engine is told so that it continues with a TPM that another engine has had. */
import { ATTACH_FLAG, ROUTE } from '../../../contract/engine-channel.ts'
import { engineCode, resumeResp, word } from '../../../contract/engine-requests.ts'
import { BIG } from '../../../contract/struct.ts'
import { TPM_SUCCESS } from '../../../contract/tpm-result.ts'
import { SwtpmError } from '../../system/errors.ts'
import type { Engine } from './engine-starter.ts'
import { type Attached, attachRequest, isListener, profileRequest, type ServedTpm } from './served-tpm.ts'

export interface Continuing {
  /** @see SuccessionEvents.resumed */
  resumed(running: boolean): void
  /** @see SuccessionEvents.connectionLost */
  connectionLost(): void
}

/**
 * @param clientFd the client of a listener that the engine before has handed over
 * @param alone called when it has the TPM, and before it is given clients: ends the engine that had it before
 * @throws SwtpmError SWTPM_ERR_ENGINE_START: it cannot continue; SWTPM_ERR_ENGINE_GONE: it has ended over this
 * @throws AttachError it has continued, but cannot serve
 */
export async function continueTpm(
  engine: Engine,
  served: ServedTpm,
  clientFd: number | undefined,
  events: Continuing,
  alone: () => Promise<void>,
): Promise<void> {
  await engine.request(engineCode('SET_STORAGE'), word.encode({ value: served.storageLocked ? 1 : 0 }, BIG))
  if (served.profile !== undefined)
    await engine.request(engineCode('SET_PROFILE'), profileRequest(served.profile))
  const { tpmResult, running } = decodeResume(await engine.request(engineCode('RESUME'), Buffer.alloc(0)))
  if (tpmResult !== TPM_SUCCESS) throw startError('it cannot continue the TPM')
  await alone()
  events.resumed(running !== 0)
  if (served.intercepted) await engine.request(engineCode('INTERCEPT'), word.encode({ value: 1 }, BIG))
  const { attached, managed } = served
  if (managed !== undefined) await attach(engine, managed, undefined)
  if (attached === undefined) return
  if (isListener(attached.kind) && served.clientOpen && clientFd === undefined) {
    served.clientOpen = false
    events.connectionLost()
  }
  await attach(engine, attached, clientFd)
  if (served.route !== 'native') {
    await engine.request(engineCode('SET_ROUTE'), word.encode({ value: ROUTE[served.route] }, BIG))
  }
}

/** @throws AttachError */
async function attach(
  engine: Engine,
  { kind, fd, flags }: Attached,
  clientFd: number | undefined,
): Promise<void> {
  const request = attachRequest({ kind, flags: flags | ATTACH_FLAG.continue })
  const fds = clientFd === undefined ? [fd] : [fd, clientFd]
  const result = word.decode(await engine.request(engineCode('ATTACH'), request, fds), BIG).value
  if (result !== TPM_SUCCESS) throw new AttachError(result)
}

/** Why an engine does not take another one's place. */
export const startError = (why: string): SwtpmError =>
  new SwtpmError('SWTPM_ERR_ENGINE_START', `No other engine could take over: ${why}`)

/** An engine has the TPM, and does not serve what its clients are connected to. Another one may. */
export class AttachError extends SwtpmError {
  constructor(result: number) {
    super(
      'SWTPM_ERR_ENGINE_START',
      `No other engine could take over: it cannot serve the device: result ${result}`,
    )
  }
}

/** A failure is the result alone. */
function decodeResume(reply: Buffer): { tpmResult: number; running: number } {
  const tpmResult = word.decode(reply, BIG).value
  return tpmResult === TPM_SUCCESS ? resumeResp.decode(reply, BIG) : { tpmResult, running: 0 }
}
