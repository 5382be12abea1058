/**
 * `--suite selftests`: the kernel's own tests of /dev/tpm0, tools/testing/selftests/tpm2 of its tree. Each of its scripts is a row, with
 * a TPM of its own.
 */
import { readdirSync } from 'node:fs'
import { quote } from '../../../../machine/job.ts'
import { reasonOf } from '../../../../system/reason.ts'
import { ToolFailure } from '../../../common/tool-failure.ts'
import type { Suite } from './driver.ts'
import { expect, type GuestRow, notOk, skipped } from './row.ts'

/** Where they are in a tree. */
export const SELFTESTS = 'tools/testing/selftests/tpm2'

const SCRIPT = /^test_\w+\.sh$/
/** What kselftest takes for "skipped". */
const SKIPPED = 4
/** The tests know no other. */
const DEVICE = '/dev/tpm0'

/** @throws ToolFailure: there are none */
export function loadSelftests(directory: string): Suite {
  const guestRows = scriptsIn(directory).map((name) => rowOf(directory, name))
  if (guestRows.length === 0)
    throw new ToolFailure(
      `There are no tests in "${directory}": --suite selftests takes test_*.sh of ${SELFTESTS} in a tree of Linux`,
    )
  return { guestRows, machineRows: [] }
}

function scriptsIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => SCRIPT.test(name))
      .sort()
  } catch (cause) {
    throw new ToolFailure(`Cannot read the tests in "${directory}": ${reasonOf(cause)}`, { cause })
  }
}

const rowOf = (directory: string, name: string): GuestRow => ({
  name: name.replace(/\.sh$/, ''),
  fix: '',
  async judge(guest) {
    const tpm = await guest.tpm()
    if (tpm?.device !== DEVICE)
      return notOk(`the TPM is ${tpm?.device ?? 'not there'}, and the tests want ${DEVICE}`)
    // Some of them have words that only bash knows, whatever their first line says. What they print is no KTAP.
    const status = guest.run('bash', ['-c', `cd ${quote(directory)} && exec bash ./${name} >&2`])
    if (status === SKIPPED) return skipped('it says that it cannot run here')
    return expect(
      status === 0,
      `it ended with ${status ?? 'nothing: there is no bash'}; standard error has what it said`,
    )
  },
})
