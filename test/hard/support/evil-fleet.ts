/** A fleet of two TPMs, one of whose engines has been broken into, and how they are asked. */
import assert from 'node:assert/strict'
import { CMD } from '../../support/control-commands.ts'
import { type FleetTpm, type RunningFleet, startFleet } from '../../support/fleet.ts'
import { RawConnection } from '../../support/raw-connection.ts'
import type { Cleanup } from '../../support/swtpm.ts'
import { responseCode, TPM2 } from '../../support/tpm-commands.ts'
import { waitFor } from '../../support/wait.ts'
import { evilEngine } from './evil-engine.ts'

/** Sends a command on a connection of its own. @returns the response code, or undefined where the connection ended */
export async function send(dataPath: string, command: Buffer): Promise<number | undefined> {
  const data = await RawConnection.open(dataPath)
  try {
    data.write(command)
    return responseCode(await data.readResponse())
  } catch {
    return undefined
  } finally {
    data.close()
  }
}

export async function verb(controlPath: string, command: string, bytes = 4): Promise<number | undefined> {
  const control = await RawConnection.open(controlPath)
  try {
    control.write(command)
    return (await control.read(bytes)).readUInt32BE()
  } catch {
    return undefined
  } finally {
    control.close()
  }
}

export interface EvilFleet {
  readonly fleet: RunningFleet
  readonly a: FleetTpm
  readonly b: FleetTpm
  /** Of TPM b, which is nobody's concern. */
  readonly engineOfB: number
}

/** @param program a copy of the evil engine, where one is to be replaced */
export async function evilFleet(t: Cleanup, program = evilEngine()): Promise<EvilFleet> {
  const fleet = await startFleet(t, { tpms: ['a', 'b'], env: { SWTPM_ENGINE: program } })
  const engineOfB = (await fleet.list()).find(({ name }) => name === 'b')?.engine as number
  return { fleet, a: fleet.describe('a'), b: fleet.describe('b'), engineOfB }
}

/** The fleet, and the other TPM with the engine that it had, go on. */
export async function othersGoOn({ fleet, b, engineOfB }: EvilFleet): Promise<void> {
  assert.equal(await send(b.data, TPM2.getRandom()), 0)
  assert.equal(await verb(b.control, CMD.GET_CONFIG, 8), 0)
  assert.equal((await fleet.list()).find(({ name }) => name === 'b')?.engine, engineOfB)
}

/** Each step has an engine of TPM a killed over what it says. Another engine continues with the TPM; the others notice nothing. */
export async function loseEngines(
  evil: EvilFleet,
  steps: readonly (() => Promise<unknown>)[],
): Promise<void> {
  const killed = (): number => (evil.fleet.swtpm.stderr.match(/a: .*broke the protocol/g) ?? []).length
  for (const step of steps) {
    const before = killed()
    await step()
    await waitFor(() => killed() > before, { what: 'an engine of TPM a to be killed' })
    await othersGoOn(evil)
    await waitFor(async () => (await send(evil.a.data, TPM2.getRandom())) === 0, { what: 'the next engine' })
  }
}
