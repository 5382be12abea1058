/** Supervisors that rest. @see docs/design/0007-sleeping-supervisor.md */
import { descendants, nameOf } from './processes.ts'
import { waitFor } from './wait.ts'

/** For a TPM that is asked hundreds of things, none of which is about rest: as in the tests' awake form. */
export const AWAKE = { SWTPM_REST_MS: 'never' }

/** At every chance, as in the tests' asleep form. */
export const ASLEEP = { SWTPM_REST_MS: '0' }

/** Each verb starts a Node: what asks hundreds of times asks less often. */
export const IS_ASLEEP_FORM = process.env.SWTPM_REST_MS === ASLEEP.SWTPM_REST_MS

/** Whether the keeper has a Node. */
export const isAwake = (keeper: number): boolean =>
  descendants(keeper).some((pid) => nameOf(pid) !== 'tpm-engine')

export const untilAtRest = (keeper: number): Promise<unknown> =>
  waitFor(() => !isAwake(keeper), { what: 'Node to rest' })
