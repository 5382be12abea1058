/** Has a TPM lose what a TPM can lose. */

import { TPM_INVALID_POSTINIT, TPM_RC_INITIALIZE } from '../../../contract/tpm-result.ts'
import type { Forgettable } from '../../responders/tpm-control.ts'
import type { Tpm } from '../../tpm/tpm.ts'
import { responseCode } from '../../tpm-commands/command.ts'
import { startupCommand } from '../../tpm-commands/startup.ts'
import {
  flushContext,
  getHandles,
  handles,
  nvUndefineSpace,
  shutdown,
} from '../../tpm-commands/tpm2-commands.ts'
import { flushSpecific, getResources, getTicks, resourceHandles } from '../../tpm-commands/tpm12-commands.ts'
import { resultText } from '../../tpm-structures/result-codes.ts'

/** @throws RangeError: the TPM has no such thing, or refuses to lose it */
export async function forget(tpm: Tpm, thing: Forgettable): Promise<void> {
  const send = async (command: Buffer): Promise<Buffer> => (await tpm.engine.process(command)).response
  await (tpm.version === '2' ? forgetTpm2(tpm, send, thing) : forgetTpm12(tpm, send, thing))
}

type Send = (command: Buffer) => Promise<Buffer>

/** Of a TPM that was powered on and not started yet, what it would start with is there afterwards, but for what it has forgotten. */
async function whileStarted(
  tpm: Tpm,
  forgetIt: () => Promise<number | undefined>,
  notStarted: number,
): Promise<void> {
  if ((await forgetIt()) !== notStarted) return
  await tpm.engine.process(startupCommand(tpm.version, 'state'))
  await forgetIt()
  await tpm.reset()
}

async function forgetTpm2(tpm: Tpm, send: Send, thing: Forgettable): Promise<void> {
  switch (thing.what) {
    case 'sessions':
      // Loaded, and saved.
      for (const kind of ['session', 'savedSession'] as const)
        for (const handle of handles(await send(getHandles(kind)))) await send(flushContext(handle))
      break
    case 'objects':
      for (const handle of handles(await send(getHandles('transient')))) await send(flushContext(handle))
      break
    case 'savestate':
      // The next Startup(STATE) finds that the last shutdown was for CLEAR.
      await whileStarted(tpm, async () => responseCode(await send(shutdown())), TPM_RC_INITIALIZE)
      break
    case 'nv': {
      const code = responseCode(await send(nvUndefineSpace(thing.index)))
      if (code !== 0)
        throw new RangeError(
          `the TPM does not undefine NV index 0x${thing.index.toString(16)}: ${resultText(code ?? 0, '2')}`,
        )
    }
  }
}

async function forgetTpm12(tpm: Tpm, send: Send, thing: Forgettable): Promise<void> {
  switch (thing.what) {
    case 'sessions':
      for (const type of ['auth', 'transport'] as const)
        for (const handle of resourceHandles(await send(getResources(type))))
          await send(flushSpecific(handle, type))
      break
    case 'objects':
      for (const handle of resourceHandles(await send(getResources('key'))))
        await send(flushSpecific(handle, 'key'))
      break
    case 'savestate':
      // Any command makes a saved state invalid.
      await whileStarted(tpm, async () => responseCode(await send(getTicks())), TPM_INVALID_POSTINIT)
      break
    case 'nv':
      throw new RangeError('of a TPM 1.2 it can lose sessions, objects and savestate, and no NV index')
  }
}
