/** What each of the files has in common that `--trace`, `--record` and `--pcap` write. */

/** A command that has not come by way of the engine, and is over. Times are in µs since 1970. */
export interface WholeExchange {
  readonly command: Buffer
  readonly locality: number
  readonly beganUs: bigint
  /** undefined: there was none. */
  readonly response: Buffer | undefined
  readonly endedUs: bigint
  readonly faults: readonly string[]
}

/** One of the files. */
export interface Trace {
  /** @param timeUs when it passed, in µs since 1970 @param locality of a command */
  record(direction: 'command' | 'response', timeUs: bigint, bytes: Buffer, locality: number): void
  /** A fault has struck a command that was recorded. @param command as its client has sent it */
  struck(fault: string, command: Buffer): void
  whole(exchange: WholeExchange): void
  close(): void
}
