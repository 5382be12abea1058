/** What a program sees of a device whose TPM fails. */

import { readPublic } from '../../../../../tpm-commands/tpm2-commands.ts'
import { createStorageKey, GET_RANDOM, loadedIn, READ_CLOCK } from '../commands.ts'
import { expect, type GuestRow, notOk, OK, type SuiteGuest, type SuiteTpm, skipped } from '../row.ts'
import { codeOf, told } from '../tpm-file.ts'

/** Of a read() that does not wait, a tenth of a second apart: some more than the driver's limit. */
const MOST_TRIES = 100
/** Behind the header a response of TPM2_CreatePrimary has the handle. */
const HANDLE_AT = 10

async function withDevice(guest: SuiteGuest, faults: readonly string[] = []): Promise<SuiteTpm> {
  const tpm = await guest.tpm({ faults })
  if (tpm === undefined) throw new Error('there is no device')
  return tpm
}

/** A resource manager's file in which there is a key. */
function spaceWithKey(tpm: SuiteTpm) {
  const space = tpm.open(tpm.resourceManager ?? '/dev/null')
  const made = space.exchange(createStorageKey())
  if (typeof made === 'string' || codeOf(made) !== 0) throw new Error(`CreatePrimary: ${told(made)}`)
  return { space, handle: made.readUInt32BE(HANDLE_AT) }
}

export const DEVICE_ROWS: readonly GuestRow[] = [
  {
    name: 'partial_reads',
    fix: 'tpm: add support for partial reads',
    async judge(guest) {
      const tpm = await withDevice(guest)
      const file = tpm.open(tpm.device)
      file.write(GET_RANDOM)
      const [first, rest] = [file.read(4), file.read()]
      if (typeof first === 'string' || typeof rest === 'string') return notOk(`${told(first)}, ${told(rest)}`)
      return expect(codeOf(Buffer.concat([first, rest])) === 0, `${first.length} and ${rest.length} bytes`)
    },
  },
  {
    name: 'zero_length_read',
    fix: 'tpm: fix zero-length read discarding the pending response',
    async judge(guest) {
      const tpm = await withDevice(guest)
      const file = tpm.open(tpm.device)
      file.write(GET_RANDOM)
      // Node makes no system call for nothing to read.
      const status = guest.run('python3', ['-c', 'import os; os.read(3, 0)'], file)
      if (status !== 0) return skipped('the guest has no python3')
      const response = file.read()
      return expect(codeOf(response) === 0, `afterwards the response is ${told(response)}`)
    },
  },
  {
    name: 'space_after_failed_command',
    fix: 'tpm: Clean up TPM space after command failure',
    async judge(guest) {
      const tpm = await withDevice(guest, ['ReadPublic: truncate=9'])
      const { space, handle } = spaceWithKey(tpm)
      const response = space.exchange(readPublic(handle))
      if (typeof response !== 'string')
        return notOk(`a response that is cut short reaches the client: ${told(response)}`)
      const left = loadedIn(tpm)
      return expect(left.length === 0, `${left.length} object stays in the TPM when the command has failed`)
    },
  },
  {
    name: 'unplug_with_open_space',
    fix: 'tpm: use try_get_ops() in tpm-space.c',
    async judge(guest) {
      const tpm = await withDevice(guest)
      const { space } = spaceWithKey(tpm)
      await tpm.unplug()
      space.close()
      return OK
    },
  },
  {
    name: 'nonblocking_client_of_a_lost_tpm',
    fix: 'tpm: Handle negative priv->response_len in tpm_common_read()',
    async judge(guest) {
      const tpm = await withDevice(guest, ['ReadClock: hangup'])
      const file = tpm.open(tpm.device, { nonBlocking: true })
      file.write(READ_CLOCK)
      // Nothing is there until the driver has given the command up.
      let response = file.read()
      for (let tries = 0; tries < MOST_TRIES && response.length === 0; tries++) {
        guest.run('sleep', ['0.1'])
        response = file.read()
      }
      return expect(typeof response === 'string', `read() succeeds, with ${told(response)}`)
    },
  },
]
