/** A TPM goes on with what another release of libtpms has stored: test/vectors/libtpms-states. */

import assert from 'node:assert/strict'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { CMD } from '../support/control-commands.ts'
import { startControlTpm } from '../support/control-tpm.ts'
import { type PoweredTpm, startPoweredTpm } from '../support/powered-tpm.ts'
import { FLAG, parseStateBlob, TAG } from '../support/state-blob.ts'
import { bin, type Cleanup, projectRoot, temporaryDirectory } from '../support/swtpm.ts'
import { tool } from '../support/tools.ts'
import { TpmClient } from '../support/tpm-client.ts'
import { responseCode, TPM2, tpm2 } from '../support/tpm-commands.ts'
import { VmmClient } from '../support/vmm-client.ts'

const PCR = 7
/** SHA-256 of a PCR that was zero and 32 zero bytes: what PCR 7 is extended with. */
const EXTENDED = 'f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b'
const RC_INITIALIZE = 0x100
const PERMANENT = 'tpm2-00.permall'
/** The profile of libtpms 0.10 that C swtpm_setup gives a new TPM. */
const PROFILED = '0.10-default-v1'

/** How a TPM was stopped, and how it goes on. */
const ENDS = {
  /** TPM2_Shutdown(STATE): libtpms has the PCRs in its permanent state. */
  resumed: { stop: (tpm: PoweredTpm) => tpm.command(tpm2(0x145, [1])), startup: 0 },
  /** As a virtual machine that is saved: the volatile state is in a file. */
  saved: { stop: (tpm: PoweredTpm) => tpm.vmm.control(CMD.STORE_VOLATILE), startup: RC_INITIALIZE },
} as const
type End = keyof typeof ENDS

/** Makes a TPM with something in NV memory and in a PCR, and stops it. @param args `--profile …` */
async function makeState(t: Cleanup, directory: string, end: End, args: string[] = []): Promise<void> {
  const tpm = await startPoweredTpm(t, args, { directory })
  await tpm.writeNv()
  assert.equal(responseCode(await tpm.command(TPM2.pcrExtend(PCR, Buffer.alloc(32)))), 0)
  await ENDS[end].stop(tpm)
  await tpm.shutDown()
}

async function takeUp(t: Cleanup, directory: string, end: End): Promise<void> {
  const { swtpm, controlPath } = await startControlTpm(t, ['--tpm2'], { directory })
  const vmm = new VmmClient(t, controlPath)
  const data = await vmm.handInData()
  assert.equal(await vmm.control(`${CMD.INIT} 00000000`), '00000000', swtpm.stderr)
  const tpm = new TpmClient({ exchange: (bytes) => data.command(bytes) })
  assert.equal(responseCode(await tpm.ask(TPM2.startupState)), ENDS[end].startup)
  assert.match((await tpm.ask(TPM2.pcrRead(PCR))).toString('hex'), new RegExp(`${EXTENDED}$`))
  assert.match((await tpm.ask(TPM2.nvRead())).toString('latin1'), /thirty-two bytes that must stay\./)
  assert.equal(await vmm.control(CMD.SHUTDOWN), '00000000')
  assert.equal(await swtpm.exited, 0, swtpm.stderr)
}

/** A copy of the state that the libtpms of another Debian has left behind. */
function stateOf(t: Cleanup, folder: string): string {
  const directory = temporaryDirectory(t)
  cpSync(join(projectRoot, 'test/vectors/libtpms-states', folder), directory, { recursive: true })
  return directory
}

/** @param file a state file @returns what GET_STATEBLOB makes of it, for a migration */
function asStateBlob(file: Buffer): Buffer {
  const { payload } = parseStateBlob(file)
  const header = Buffer.from(file.subarray(0, file.length - payload.length))
  const field = Buffer.alloc(6)
  field.writeUInt16BE(TAG.migrationData, 0)
  field.writeUInt32BE(payload.length, 2)
  const blob = Buffer.concat([header, field, payload])
  blob.writeUInt16BE(FLAG.migrationData, 4)
  blob.writeUInt32BE(blob.length, 6)
  return blob
}

/** libtpms 0.10 has profiles, 0.9 has none. */
const hasProfiles = async (): Promise<boolean> =>
  (await tool(bin('swtpm'), ['socket', '--tpm2', '--print-capabilities'])).includes('"cmdarg-profile"')

describe('a TPM', () => {
  for (const end of Object.keys(ENDS) as End[]) {
    it(`goes on with its own state, ${end}`, async (t) => {
      const directory = temporaryDirectory(t)
      await makeState(t, directory, end)
      await takeUp(t, directory, end)
    })

    for (const release of ['0.9', '0.10'])
      it(`goes on with a state of libtpms ${release}, ${end}`, (t) =>
        takeUp(t, stateOf(t, `${release}-${end}`), end))
  }

  it('that was made with a profile goes on with libtpms 0.10, and is refused with the reason by 0.9', async (t) => {
    const directory = stateOf(t, PROFILED)
    if (await hasProfiles()) {
      const made = temporaryDirectory(t)
      await makeState(t, made, 'resumed', ['--profile', 'profile={"Name":"default-v1"}'])
      for (const state of [made, directory]) await takeUp(t, state, 'resumed')
      return
    }
    const state = readFileSync(join(directory, PERMANENT))
    const { swtpm, controlPath } = await startControlTpm(t, ['--tpm2'], { directory })
    const vmm = new VmmClient(t, controlPath)
    assert.notEqual(await vmm.control(`${CMD.INIT} 00000000`), '00000000')
    assert.match(
      swtpm.stderr,
      /^swtpm: Cannot use state "tpm2-00\.permall": libtpms 0\.9\.\d+ refuses it; it is damaged, or needs the newer /m,
    )
    assert.deepEqual(readFileSync(join(directory, PERMANENT)), state)

    const blob = asStateBlob(state)
    const length = blob.length.toString(16).padStart(8, '0')
    const set = `${CMD.SET_STATEBLOB} 00000000 00000001 ${length} ${blob.toString('hex')}`
    assert.notEqual(await vmm.control(set), '00000000')
    assert.match(
      swtpm.stderr,
      /^swtpm: Cannot use state "permall": libtpms 0\.9\.\d+ refuses it; it is damaged, or needs the newer /m,
    )
  })
})
