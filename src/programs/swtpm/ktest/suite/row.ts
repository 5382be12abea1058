/** What a suite is made of: each row looks for one fix in the kernel. */
import type { TpmFile } from './tpm-file.ts'

export type Verdict =
  | { readonly outcome: 'ok' }
  /** What was seen in place of what the fix brings. */
  | { readonly outcome: 'not ok'; readonly seen: string }
  /** Why the kernel, or the guest, cannot be judged. */
  | { readonly outcome: 'skip'; readonly reason: string }

export const OK: Verdict = { outcome: 'ok' }
export const notOk = (seen: string): Verdict => ({ outcome: 'not ok', seen })
export const skipped = (reason: string): Verdict => ({ outcome: 'skip', reason })

/** `condition`, or what was seen. */
export const expect = (condition: boolean, seen: string): Verdict => (condition ? OK : notOk(seen))

interface RowName {
  /** What is judged, in one word: the name of the test. */
  readonly name: string
  /** The title of the change that fixed it, as the kernel's log of changes has it; else what it changed. */
  readonly fix: string
}

/** Judged in a guest that has no TPMs but those that the row asks for. */
export interface GuestRow extends RowName {
  readonly judge: (guest: SuiteGuest) => Promise<Verdict>
}

/** Judged by a machine of its own, with the TPM as its hardware. */
export interface MachineRow extends RowName {
  /** Options of the kernel without which there is nothing to judge, without CONFIG_. */
  readonly needs?: readonly KernelOption[]
  /** The guest's root directory: the host's, or a small one in memory, which outlasts a suspend. */
  readonly root: 'host' | 'memory'
  /** As `--tpm` has it. */
  readonly tpm: string
  /** For the guest's shell; `$TPM_0` is its TPM. */
  readonly script: string
  /** Of a machine that has not died, and whose kernel had no splat. */
  readonly judge: (result: MachineResult) => Verdict
}

/** How a guest is asked for each, where nothing else says how its kernel was configured. */
export const KERNEL_OPTIONS = {
  TRUSTED_KEYS: "grep -q ' trusted_instantiate' /proc/kallsyms",
  TCG_TPM2_HMAC: '[ -e /sys/class/tpm/tpm0/null_name ]',
  HW_RANDOM_TPM: "grep -q ' tpm_hwrng_read' /proc/kallsyms",
} as const
export type KernelOption = keyof typeof KERNEL_OPTIONS

/** Why a kernel without it cannot be judged. */
export const needs = (option: KernelOption): Verdict => skipped(`needs CONFIG_${option}`)

export interface MachineResult {
  /** Of the script. */
  readonly status: number
  readonly stdout: string
  /** The kernel's log, a line each. */
  readonly log: readonly string[]
  /** What passed between the kernel and its TPM, as `swtpm trace` has it. */
  readonly trace: readonly string[]
}

export interface TpmWishes {
  readonly version?: '1.2' | '2.0'
  /** As `--fault` has them. */
  readonly faults?: readonly string[]
}

export interface SuiteTpm {
  /** `/dev/tpm0` */
  readonly device: string
  /** `/dev/tpmrm0`; undefined where the kernel has made none. */
  readonly resourceManager: string | undefined
  /** Opens a device; closed when the row has ended. */
  open(path: string, options?: { readonly nonBlocking?: boolean }): TpmFile
  /** Takes the device away. */
  unplug(): Promise<void>
}

export interface SuiteGuest {
  /** @returns undefined where the kernel has made no device */
  tpm(wishes?: TpmWishes): Promise<SuiteTpm | undefined>
  /** What the kernel has logged since the row began. */
  log(): readonly string[]
  /** Runs a program of the guest, with a device as its descriptor 3; undefined: there is none of this name. */
  run(program: string, args: readonly string[], file?: TpmFile): number | undefined
}
