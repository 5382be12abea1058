/** Brings the data commands that the engine is shown to the responders, and what they decide back to the engine. */
import type { Verdict } from '../../../contract/engine-channel.ts'
import { TPM_BUFFER_SIZE_BYTES, TPM_PREFIX_SIZE_BYTES } from '../../../contract/limits.ts'
import type { EngineClient } from '../../engine-client/engine-client.ts'
import type { Gone } from '../../responders/exchange.ts'
import type { Delivery, Response } from '../../responders/response.ts'
import type { ResponderStack } from '../../responders/stack.ts'
import { Aborted, wait } from '../../responders/time.ts'
import { SwtpmError } from '../../system/errors.ts'
import { guarded } from '../../system/guard.ts'

/** The engine shows one at a time. Others are those whose response is under way to it. */
const MAX_HELD = 64
/** Of a message that is longer than any command, the engine has as much. */
const LONGEST_BYTES = TPM_PREFIX_SIZE_BYTES + TPM_BUFFER_SIZE_BYTES

/** A command that waits in the engine. */
interface Held {
  readonly number: number
  readonly abort: AbortController
  /** Nobody waits for its response any more. Its number may be that of a command of the next engine. */
  gone: boolean
  /** Settles when the TPM has executed what it was given last: one at a time, though a responder may ask twice at once. */
  turn: Promise<unknown>
  /** The TPM executes it now, and its response is waited for. */
  executing: { resolve(response: Buffer): void; reject(error: Error): void } | undefined
}

/** From now on, as long as the engine lasts. */
export function interceptCommands(engine: EngineClient, stack: ResponderStack): void {
  const held = new Map<number, Held>()

  const end = (command: Held, reason: Gone): void => {
    command.gone = true
    held.delete(command.number)
    command.abort.abort(reason)
    command.executing?.reject(new Aborted(command.abort.signal))
    command.executing = undefined
  }
  const endAll = (reason: Gone): void => {
    for (const command of held.values()) end(command, reason)
  }

  // What is thrown here is a breach of the protocol: the engine may have been broken into.
  engine.on('command', (number, locality, bytes) => {
    if (held.has(number) || held.size >= MAX_HELD || bytes.length > LONGEST_BYTES)
      throw new RangeError(`command ${number} of ${bytes.length} bytes, beside ${held.size} others`)
    const command: Held = {
      number,
      abort: new AbortController(),
      gone: false,
      turn: Promise.resolve(),
      executing: undefined,
    }
    held.set(number, command)
    const done = (): void => {
      if (held.get(number) === command) held.delete(number)
    }
    guarded(handle(engine, stack, command, locality, bytes).finally(done))
  })
  engine.on('response', (number, bytes) => {
    const command = held.get(number)
    command?.executing?.resolve(bytes)
    if (command !== undefined) command.executing = undefined
  })
  engine.on('commandGone', (number, why) => {
    const command = held.get(number)
    if (command !== undefined)
      end(
        command,
        why === 'client' ? 'the client has gone' : 'the TPM was powered off or its engine replaced',
      )
  })
  // What the TPM executes, the engine cancels.
  engine.on('cancelled', () => {
    for (const { abort } of held.values()) abort.abort('cancelled' satisfies Gone)
  })
  engine.on('engineDied', () => endAll('the engine has ended'))
  engine.on('exit', () => endAll('the engine has ended'))
}

async function handle(
  engine: EngineClient,
  stack: ResponderStack,
  held: Held,
  locality: number,
  bytes: Buffer,
): Promise<void> {
  const { signal } = held.abort
  try {
    await stack.handle(
      { bytes, locality, from: 'client', signal },
      (command) => execute(engine, held, command === bytes ? undefined : command),
      (response) => (response === 'pass' ? respond(engine, held, 'pass') : deliver(engine, held, response)),
    )
  } catch (error) {
    // Its client has been told by the engine that took over, or there is none any more.
    if (error instanceof Aborted) return
    if (!(error instanceof SwtpmError) || error.code !== 'SWTPM_ERR_ENGINE_GONE') throw error
  }
}

/** @param command undefined: the bytes that the engine has @throws Aborted: nobody waits for the response any more */
function execute(engine: EngineClient, held: Held, command: Buffer | undefined): Promise<Buffer> {
  const executed = held.turn.then(() => executeNow(engine, held, command))
  held.turn = executed.catch(() => {})
  return executed
}

async function executeNow(engine: EngineClient, held: Held, command: Buffer | undefined): Promise<Buffer> {
  if (held.gone || held.abort.signal.aborted) throw new Aborted(held.abort.signal)
  const response = new Promise<Buffer>((resolve, reject) => {
    held.executing = { resolve, reject }
  })
  // It may be rejected while the request is under way.
  response.catch(() => {})
  const waits = await respond(engine, held, 'run', command === undefined ? {} : { bytes: command })
  if (!waits) {
    // The reason may be under way.
    held.abort.abort('the TPM was powered off or its engine replaced' satisfies Gone)
    throw new Aborted(held.abort.signal)
  }
  return response
}

/** @returns false: the command does not wait any more */
const respond = (
  engine: EngineClient,
  held: Held,
  verdict: Verdict,
  given: { bytes?: Buffer; errno?: number } = {},
): Promise<boolean> => engine.respond(held.number, verdict, given, () => !held.gone)

/** Has the engine give the client a response, in its way. */
async function deliver(engine: EngineClient, held: Held, { bytes, delivery }: Response): Promise<void> {
  switch (delivery.how) {
    case 'whole':
      break
    case 'twice':
      await respond(engine, held, 'part', { bytes })
      break
    case 'pieces':
      await deliverPieces(engine, held, bytes, delivery)
      return
    case 'errno':
      await respond(engine, held, 'errno', { errno: delivery.errno })
      return
    default:
      await respond(engine, held, delivery.how)
      return
  }
  await respond(engine, held, 'answer', { bytes })
}

async function deliverPieces(
  engine: EngineClient,
  held: Held,
  bytes: Buffer,
  { sizeBytes, pauseMs }: Delivery & { how: 'pieces' },
): Promise<void> {
  let at = 0
  for (; at + sizeBytes < bytes.length && !held.gone; at += sizeBytes) {
    await respond(engine, held, 'part', { bytes: bytes.subarray(at, at + sizeBytes) })
    await pause(held.abort.signal, pauseMs)
  }
  // Also of a command that was cancelled meanwhile: its client waits for the rest.
  await respond(engine, held, 'answer', { bytes: bytes.subarray(at) })
}

/** @returns at once when the command is cancelled, or nobody waits for it */
async function pause(signal: AbortSignal, ms: number): Promise<void> {
  try {
    await wait({ signal }, ms)
  } catch (error) {
    if (!(error instanceof Aborted)) throw error
  }
}
