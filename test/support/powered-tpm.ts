/** A TPM 2.0 that was powered on over the control channel, of whatever swtpm, for tests of its state. */

import assert from 'node:assert/strict'
import { CMD } from './control-commands.ts'
import { type ControlTpmOptions, startControlTpm } from './control-tpm.ts'
import type { Cleanup, Swtpm } from './swtpm.ts'
import { TpmClient } from './tpm-client.ts'
import { responseCode, TPM2 } from './tpm-commands.ts'
import { VmmClient } from './vmm-client.ts'

/** What tests write into NV memory, to find it again. */
const CONTENT = Buffer.from('thirty-two bytes that must stay.')

export interface PoweredTpm {
  readonly swtpm: Swtpm
  readonly directory: string
  readonly vmm: VmmClient
  command(bytes: Uint8Array): Promise<Buffer>
  writeNv(): Promise<void>
  /** Fails unless NV memory holds what {@link writeNv} wrote. */
  checkNv(): Promise<void>
  /** SHUTDOWN over the control channel, and the end of swtpm. */
  shutDown(): Promise<void>
}

export interface PoweredTpmOptions extends ControlTpmOptions {
  /** Something to be done before it is powered on. */
  readonly beforeInit?: (vmm: VmmClient) => Promise<void>
}

/** @param args `--key` and so on */
export async function startPoweredTpm(
  t: Cleanup,
  args: readonly string[],
  { beforeInit, ...options }: PoweredTpmOptions = {},
): Promise<PoweredTpm> {
  const { swtpm, directory, controlPath } = await startControlTpm(t, ['--tpm2', ...args], options)
  const vmm = new VmmClient(t, controlPath)
  const data = await vmm.handInData()
  await beforeInit?.(vmm)
  assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000', swtpm.stderr)
  const client = new TpmClient({ exchange: (bytes) => data.command(bytes) })
  const command = (bytes: Uint8Array): Promise<Buffer> => client.ask(bytes)
  // INITIALIZE: the state that came in by migration was started up already.
  assert.ok([0, 0x100].includes(responseCode(await command(TPM2.startupClear))))
  return {
    swtpm,
    directory,
    vmm,
    command,
    async writeNv() {
      assert.equal(responseCode(await command(TPM2.nvDefine())), 0)
      assert.equal(responseCode(await command(TPM2.nvWrite(CONTENT))), 0)
    },
    async checkNv() {
      assert.deepEqual((await command(TPM2.nvRead())).subarray(16, 48), CONTENT)
    },
    async shutDown() {
      assert.equal(await vmm.control(CMD.SHUTDOWN), '00000000')
      assert.equal(await swtpm.exited, 0, swtpm.stderr)
    },
  }
}
