/** A change of a message, which both commands and responses can have: what `exchange.with()` and `response.with()` take. */
import type { DecodedCommand } from '../tpm-structures/decode-command.ts'

export interface AlterationContext {
  /** The command, or that of the response. */
  readonly command: DecodedCommand
  /** What the bytes are. */
  readonly kind: 'command' | 'response'
}

export interface Alteration {
  /** @returns other bytes; those given stay as they are */
  readonly alter: (bytes: Buffer, context: AlterationContext) => Buffer
}
