/** TPMs that have less room than ours: for saved contexts, for objects and sessions, for messages. */
import { getHandles, handles } from '../../tpm-commands/tpm2-commands.ts'
import { rc } from '../effects/instead.ts'
import type { Exchange } from '../exchange.ts'
import type { Next, Responder } from '../responder.ts'
import { withProperties } from './capability-list.ts'
import { numberIn } from './mode.ts'

/** What a TPM with a Part 2 handle type has in front: HMAC and policy sessions. */
const isSession = (handle: number): boolean => handle >>> 24 === 0x02 || handle >>> 24 === 0x03
/** In a TPMS_CONTEXT, behind a u64: the parameter of ContextLoad. */
const AT_SAVED_HANDLE = 10 + 8

/**
 * A session's context that was saved N contexts of sessions ago has to be loaded before another can be saved: CONTEXT_GAP.
 * @see TPM 2.0 Part 1, 30.5
 */
export function contextGap(value: string): Responder {
  const gap = numberIn(value, 1, 65_535)
  /** Session → number of its context. */
  const saved = new Map<number, number>()
  let count = 0
  return async (exchange, next) => {
    const session = sessionOf(exchange)
    if (session === undefined) return undefined
    if (exchange.name === 'ContextSave' && count + 1 - Math.min(...saved.values()) > gap)
      return rc('CONTEXT_GAP')
    const response = await next()
    if (response.code !== 0) return response
    if (exchange.name === 'ContextSave') saved.set(session, ++count)
    else saved.delete(session)
    return response
  }
}

/** The session whose context is saved, loaded or flushed. */
function sessionOf({ name, bytes, handles: [handle] }: Exchange): number | undefined {
  const session =
    name === 'ContextSave'
      ? handle
      : name === 'ContextLoad' && bytes.length >= AT_SAVED_HANDLE + 4
        ? bytes.readUInt32BE(AT_SAVED_HANDLE)
        : name === 'FlushContext' && bytes.length >= 14
          ? bytes.readUInt32BE(10)
          : undefined
  return session !== undefined && isSession(session) ? session : undefined
}

const MAKES_OBJECT = [
  ...['CreatePrimary', 'CreateLoaded', 'Load', 'LoadExternal'],
  ...['HMAC_Start', 'MAC_Start', 'HashSequenceStart'],
]
const PT = { transientMin: 0x10e, loadedMin: 0x110, loadedAvailable: 0x204, transientAvailable: 0x207 }

/** Room for T objects, and for S sessions that are loaded. */
export function slots(value: string): Responder {
  const [objects, sessions, ...more] = value.split('/').map((part) => numberIn(part, 0, 64))
  if (objects === undefined || sessions === undefined || more.length > 0)
    throw new RangeError('write the room for objects and for sessions, such as 3/3')
  const count = async (kind: 'transient' | 'session', next: Next): Promise<number> =>
    handles((await next(getHandles(kind))).bytes).length
  return async (exchange, next) => {
    const kind = loads(exchange)
    if (kind === 'transient' && (await count(kind, next)) >= objects) return rc('OBJECT_MEMORY')
    if (kind === 'session' && (await count(kind, next)) >= sessions) return rc('SESSION_MEMORY')
    if (exchange.name !== 'GetCapability') return undefined
    const free = {
      [PT.transientMin]: objects,
      [PT.transientAvailable]: objects - (await count('transient', next)),
      [PT.loadedMin]: sessions,
      [PT.loadedAvailable]: sessions - (await count('session', next)),
    }
    return withProperties(await next(), (property, has) => Math.max(0, free[property] ?? has))
  }
}

function loads({ name, bytes }: Exchange): 'transient' | 'session' | undefined {
  if (MAKES_OBJECT.includes(name)) return 'transient'
  if (name === 'StartAuthSession') return 'session'
  if (name !== 'ContextLoad' || bytes.length < AT_SAVED_HANDLE + 4) return undefined
  return isSession(bytes.readUInt32BE(AT_SAVED_HANDLE)) ? 'session' : 'transient'
}

const PT_MAX_COMMAND_SIZE = 0x11e
const PT_MAX_RESPONSE_SIZE = 0x11f

/** Commands and responses of so many bytes at most, as far as the TPM tells; longer commands are refused. */
export function buffers(value: string): Responder {
  const size = numberIn(value, 256, 4096)
  const isSize = (property: number): boolean =>
    property === PT_MAX_COMMAND_SIZE || property === PT_MAX_RESPONSE_SIZE
  return async ({ name, bytes }, next) => {
    if (bytes.length > size) return rc('COMMAND_SIZE')
    if (name !== 'GetCapability') return undefined
    return withProperties(await next(), (property, has) => (isSize(property) ? Math.min(size, has) : has))
  }
}
