/**
 * What `swtpm ktest --suite driver` finds in Debian's stock kernels, 6.1.192 and 6.12.117 of November 2026. A row that is not ok
 * there is a fix that the kernel has not been given yet; when a newer build has it, the table is to say so.
 */
export type Outcome = 'ok' | 'not ok' | 'skip'

/** Debian's kernels have no sessions of their own with the TPM. */
const WITHOUT_SESSIONS = { refused_session: 'skip' } as const

const OK_ON_BOTH = {
  pcr_banks_are_capped: 'ok',
  command_list_of_wrong_length: 'ok',
  self_test_goes_on: 'ok',
  field_upgrade_mode: 'ok',
  hangup_at_registration: 'ok',
  partial_reads: 'ok',
  space_after_failed_command: 'ok',
  unplug_with_open_space: 'ok',
  nonblocking_client_of_a_lost_tpm: 'ok',
  tpm12_blocks_in_self_test: 'ok',
  tpm12_timeouts_in_ms: 'ok',
  suspend_goes_on_when_the_tpm_fails: 'ok',
  hwrng_in_use_while_suspending: 'ok',
} as const

/** Series → row → outcome. */
export const EXPECTED: Readonly<Record<string, Readonly<Record<string, Outcome>>>> = {
  '6.1': { ...OK_ON_BOTH, ...WITHOUT_SESSIONS, zero_length_read: 'not ok' },
  '6.12': { ...OK_ON_BOTH, ...WITHOUT_SESSIONS, zero_length_read: 'ok' },
}
