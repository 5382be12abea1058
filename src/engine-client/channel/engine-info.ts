/** What an engine, asked without a TPM, says of itself and its libtpms. */

/** What `tpm-engine --print-info FLAGS` prints: the libtpms at hand, and what it says of the chosen TPM version. */
export interface EngineInfo {
  /** Version of libtpms, `0.9.2`. */
  readonly libtpms: string
  readonly tpm12: boolean
  readonly tpm2: boolean
  /** The engine was built with seccomp; absent: it was. */
  readonly seccomp?: boolean
  /** TPMLIB_GetInfo() of the flags that were asked for, {@link CAPABILITY_INFO_FLAGS}. */
  readonly info: LibtpmsInfo | null
  /** TPMLIB_GetInfo() of the available profiles; null when libtpms has none (before 0.10). */
  readonly profiles: LibtpmsInfo | null
}

/** The members of TPMLIB_GetInfo()'s object that matter here. */
export interface LibtpmsInfo {
  readonly TPMFeatures?: { readonly RSAKeySizes?: readonly number[] }
  readonly AvailableProfiles?: readonly { readonly Name: string }[]
  readonly RuntimeAlgorithms?: Changeable
  readonly RuntimeCommands?: Changeable
}

export interface Changeable {
  readonly CanBeDisabled: string
  readonly Implemented: string
}
