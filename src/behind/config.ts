/** What is behind in place of libtpms. */

/** What becomes of a command that a recording has no response to. */
export const OTHERWISE = ['FAILURE', 'stop', 'ours'] as const
export type Otherwise = (typeof OTHERWISE)[number]

export type OtherTpmConfig =
  | { readonly kind: 'device'; readonly path: string }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

export interface PlayedConfig {
  readonly kind: 'recording'
  readonly path: string
  readonly otherwise: Otherwise
  /** Without the times of the recording. */
  readonly fast: boolean
}

export type BehindConfig = OtherTpmConfig | PlayedConfig
