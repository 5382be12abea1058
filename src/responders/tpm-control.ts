/** What a script can do to the TPM itself and to its device, besides answering commands. */

/** What a TPM can be made to forget. */
export type Forgettable =
  | { readonly what: 'sessions' | 'objects' | 'savestate' }
  | { readonly what: 'nv'; readonly index: number }

export interface TpmControl {
  /** Kills the engine, with whatever it is at. Another one goes on, as after any such death. */
  crash(): void
  /** Power off and on again behind the operating system's back: no TPM2_Shutdown, no Startup. */
  reset(): Promise<void>
  forget(thing: Forgettable): Promise<void>
  /** Takes the device away. @param backAfterMs makes it again after this time; undefined: never */
  unplug(backAfterMs?: number): Promise<void>
}
