/** What `swtpm state show` tells of a TPM: nothing that its user keeps secret. It is printed as JSON, too. */

export interface PcrBank {
  /** `sha256` */
  readonly algorithm: string
  readonly active: boolean
  /** PCR number → hex digits; only where the volatile state was stored. */
  readonly values?: Readonly<Record<string, string>>
}

export interface NvIndex {
  /** `0x01c00002` */
  readonly index: string
  /** What TPMs usually have there. */
  readonly usually?: string
  readonly bytes: number
  readonly nameAlgorithm?: string
  readonly attributes: readonly string[]
}

export interface PersistentObject {
  readonly handle: string
  readonly usually?: string
  /** `RSA 2048`, `ECC NIST_P384` */
  readonly type: string
  readonly nameAlgorithm: string
  /** Hex digits: what an authorization names it by. */
  readonly name: string
  readonly attributes: readonly string[]
}

export interface Contents {
  readonly libtpms: string
  /** The active profile as libtpms tells it, from 0.10 on. */
  readonly profile?: unknown
  /** Whether PCRs and the like are those of a TPM that runs, or of one that has just been started. */
  readonly asOf: 'volatile state' | 'next start'
  readonly pcrBanks: readonly PcrBank[]
  readonly nv: readonly NvIndex[]
  readonly persistent: readonly PersistentObject[]
  /** A password or another authorization is set. */
  readonly authorizationSet: Readonly<Record<string, boolean>>
  readonly flags: Readonly<Record<string, boolean>>
  readonly lockout?: Lockout
  readonly certificates: { readonly ek: readonly string[]; readonly platform: boolean }
}

export interface Lockout {
  readonly isLockedOut: boolean
  /** Failures that count now, and at how many of them the TPM locks. */
  readonly failures: number
  readonly maximum: number
  /** In seconds; TPM 1.2 has none. */
  readonly intervalSeconds?: number
  readonly recoverySeconds?: number
}

export const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`

/** `fixedTPM|decrypt`, or 0, in words. */
export const wordsOf = (bits: unknown): string[] => (typeof bits === 'string' ? bits.split('|') : [])
