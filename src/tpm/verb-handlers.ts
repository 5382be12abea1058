/**
 * What each verb does. A handler gets a decoded request and returns the response; a result other than TPM_SUCCESS stands
 * alone. Which wire the request came over is not known here.
 */
import { HIGHEST_LOCALITY } from '../../contract/limits.ts'
import { STATE_BLOBS } from '../../contract/state-blobs.ts'
import {
  TPM_BAD_LOCALITY,
  TPM_BAD_ORDINAL,
  TPM_BAD_PARAMETER,
  TPM_FAIL,
  TPM_IOERROR,
  TPM_SUCCESS,
} from '../../contract/tpm-result.ts'
import { PTM_HASH_DATA_SIZE } from '../../contract/verb-structures.ts'
import type { Outcome, Request, VerbName } from '../../contract/verbs.ts'
import { log } from '../system/log.ts'
import type { Tpm } from './tpm.ts'

type Handler<V extends VerbName> = (tpm: Tpm, request: Request<V>) => Promise<Outcome<V>>

const forward =
  <V extends VerbName>(name: V): Handler<V> =>
  (tpm, request) =>
    tpm.forward(name, request)

/**
 * The verbs that both wires execute alike. Not here: GET_CAPABILITY, whose answer is a property of the wire, and
 * SET_DATAFD, which exists on the control channel only.
 */
const HANDLERS: { [V in Exclude<VerbName, 'GET_CAPABILITY' | 'SET_DATAFD'>]: Handler<V> } = {
  INIT: async (tpm, { initFlags }) => ({ tpmResult: await tpm.init(initFlags) }),
  SHUTDOWN: async (tpm) => ({ tpmResult: await tpm.shutdown() }),
  STOP: async (tpm) => ({ tpmResult: await tpm.stop() }),

  SET_LOCALITY: forward('SET_LOCALITY'),
  GET_TPMESTABLISHED: forward('GET_TPMESTABLISHED'),
  RESET_TPMESTABLISHED: async (tpm, request) =>
    request.loc > HIGHEST_LOCALITY
      ? { tpmResult: TPM_BAD_LOCALITY }
      : tpm.forward('RESET_TPMESTABLISHED', request),

  HASH_START: forward('HASH_START'),
  HASH_DATA: async (tpm, request) =>
    request.length > request.data.length
      ? { tpmResult: request.length > PTM_HASH_DATA_SIZE ? TPM_FAIL : TPM_BAD_PARAMETER }
      : tpm.forward('HASH_DATA', request),
  HASH_END: forward('HASH_END'),
  CANCEL_TPM_CMD: forward('CANCEL_TPM_CMD'),
  STORE_VOLATILE: forward('STORE_VOLATILE'),
  GET_CONFIG: forward('GET_CONFIG'),
  GET_INFO: forward('GET_INFO'),

  SET_BUFFERSIZE: forward('SET_BUFFERSIZE'),

  GET_STATEBLOB: async (tpm, request) => {
    const outcome = await tpm.forward('GET_STATEBLOB', request)
    if (request.type === STATE_BLOBS.savestate.type) await tpm.releaseStorageAfterMigration()
    return outcome
  },
  SET_STATEBLOB: async (tpm, request) => {
    if (tpm.keepsNoSecrets) {
      log.error('SET_STATEBLOB is refused: with --seed-insecure no TPM comes in that has secrets')
      return { tpmResult: TPM_BAD_ORDINAL }
    }
    return (await tpm.ensureLockedStorage())
      ? tpm.forward('SET_STATEBLOB', request)
      : { tpmResult: TPM_IOERROR }
  },

  LOCK_STORAGE: async (tpm, { retries }) => ({
    tpmResult: (await tpm.lockStorage(retries)) ? TPM_SUCCESS : TPM_FAIL,
  }),
}

/** They ask libtpms what is no TPM command. */
const OF_LIBTPMS: ReadonlySet<VerbName> = new Set([
  'GET_STATEBLOB',
  'SET_STATEBLOB',
  'STORE_VOLATILE',
  'HASH_START',
  'HASH_DATA',
  'HASH_END',
  'RESET_TPMESTABLISHED',
  'GET_INFO',
])

export type HandledVerb = keyof typeof HANDLERS

/** Executes a verb if the run state allows it. */
export async function execute<V extends HandledVerb>(
  tpm: Tpm,
  name: V,
  request: Request<V>,
): Promise<Outcome<V>> {
  if (!tpm.allows(name)) return { tpmResult: TPM_BAD_ORDINAL }
  if (tpm.isElsewhere && OF_LIBTPMS.has(name)) {
    log.error(`${name} is refused: the TPM is another one (--behind), and this cannot be asked of it`)
    return { tpmResult: TPM_BAD_ORDINAL }
  }
  return (HANDLERS[name] as unknown as Handler<V>)(tpm, request)
}
