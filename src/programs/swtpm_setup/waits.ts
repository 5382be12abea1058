/** How long swtpm and its TPM may take, in milliseconds: limits for what hangs, not for what is slow. */

export interface Waits {
  /** For swtpm to start, or to print what it can do. */
  readonly start: number
  /** For an answer. */
  readonly answer: number
  /** For a key: enough for RSA 4096 on a machine that is busy elsewhere. */
  readonly key: number
  /** For swtpm to end when it is told to. */
  readonly end: number
}

const DEFAULTS: Waits = { start: 30_000, answer: 15_000, key: 120_000, end: 30_000 }

export const WAITS_VARIABLE = 'SWTPM_SETUP_TIMEOUT'

/** @param environment SWTPM_SETUP_TIMEOUT in seconds takes the place of all of them; ignored unless a positive number */
export function waits(environment: NodeJS.ProcessEnv = process.env): Waits {
  const ms = Math.min(Math.round(Number(environment[WAITS_VARIABLE]) * 1000), 0x7fff_ffff)
  return ms > 0 ? { start: ms, answer: ms, key: ms, end: ms } : DEFAULTS
}
