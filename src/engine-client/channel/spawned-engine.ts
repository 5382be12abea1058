/** What starts engines: the spawner of a fleet, or the keeper of one TPM. */

/** How one engine begins and ends. */
export interface SpawnedEngine {
  /** @throws SwtpmError SWTPM_ERR_ENGINE_START */
  readonly pid: Promise<number>
  /** Settles with the way it ended, in words. */
  readonly ended: Promise<string>
  /** SIGKILL, as soon as it runs; nothing where it has ended. */
  kill(): void
}

/** What an engine is given: its end of the channel, the state and the shared state. They stay the caller's. */
export interface EngineDescriptors {
  readonly channel: number
  readonly state: number
  readonly sharedState: number
}

export interface EngineSpawner {
  /** Settles when nothing more can be started, and the end of those that run is not reported any more. */
  readonly gone: Promise<void>
  /** Told once, before anything else happens to the state, what the engines of a TPM are given. */
  prepare?(args: readonly string[], fds: Omit<EngineDescriptors, 'channel'>): void
  /**
   * Starts an engine.
   * @param fds to be kept open until `pid` is resolved or rejected. No copies are made of them: to close one would drop the
   * lock on a linear state file.
   * @param fresh execute the program that is there now, instead of a copy of one that runs
   */
  spawn(args: readonly string[], fds: EngineDescriptors, fresh: boolean): SpawnedEngine
  /** An engine that an earlier supervisor of this TPM has had started. */
  adopt?(pid: number): SpawnedEngine
  /** Nothing more is started. Resolves when nothing is left of what started engines, in a bounded time; those of the keeper continue. */
  close(): Promise<void>
}
