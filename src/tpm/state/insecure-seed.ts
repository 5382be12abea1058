/**
 * A TPM of `--seed-insecure` says so in its state directory, by a file with the seed. Everybody can know the keys of such a TPM: it
 * is never served as one that has secrets, and one that has secrets is never given a seed.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SwtpmError } from '../../system/errors.ts'
import { reasonOf } from '../../system/reason.ts'
import { stateFile } from './state-files.ts'

/** Holds the seed and a newline. It goes where the permanent state goes. */
export const SEED_MARKER = 'insecure-seed'
const MARKER_MODE = 0o644

/**
 * Sees to it that a state directory and a seed belong together. The directory of a new TPM is marked.
 * @param seed undefined: without --seed-insecure
 * @throws SwtpmError SWTPM_ERR_STATE_DIR
 */
export function checkSeed(directory: string, seed: number | undefined): void {
  const refuse = (reason: string): never => {
    throw new SwtpmError('SWTPM_ERR_STATE_DIR', `Cannot use state directory "${directory}": ${reason}`)
  }
  const marked = markerOf(directory)
  if (seed === undefined) {
    if (marked !== undefined && hasTpm(directory))
      refuse(
        `its TPM was made with --seed-insecure ${marked}, and its keys are no secret; give that option, or another directory`,
      )
    return
  }
  if (hasTpm(directory)) {
    if (marked === undefined)
      refuse('its TPM was made without --seed-insecure; leave the option out, or give an empty directory')
    if (marked !== String(seed))
      refuse(`its TPM was made with --seed-insecure ${marked}; give that number, or an empty directory`)
    return
  }
  try {
    writeFileSync(join(directory, SEED_MARKER), `${seed}\n`, { mode: MARKER_MODE })
  } catch (error) {
    refuse(`cannot write "${SEED_MARKER}" in it: ${reasonOf(error)}`)
  }
}

/** The seed that a directory was marked with. */
function markerOf(directory: string): string | undefined {
  try {
    return readFileSync(join(directory, SEED_MARKER), 'latin1').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new SwtpmError(
      'SWTPM_ERR_STATE_DIR',
      `Cannot read "${join(directory, SEED_MARKER)}": ${reasonOf(error)}`,
      { cause: error },
    )
  }
}

const hasTpm = (directory: string): boolean =>
  readdirSync(directory).some((name) => stateFile(name) !== undefined)
