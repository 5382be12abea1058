/** What a recording is replayed to. */
export interface ReplayTarget {
  /** For messages. */
  readonly name: string
  /** Whether commands may come at another locality than 0. */
  readonly hasLocalities: boolean
  /** @throws SwtpmError: it cannot be asked any more */
  ask(command: Buffer, locality: number): Promise<Buffer>
}
