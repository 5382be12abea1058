import { Fault } from '../system/errors.ts'

/** What kept a machine from coming up, or ended it. */
export class MachineFault extends Fault {
  /** The way out. */
  readonly hint: string | undefined
  /** What a program, or the machine's console, printed last. */
  readonly output: string | undefined
  /** The command ran longer than it may. */
  readonly isTimeout: boolean

  /** @param message what could not be done, and why */
  constructor(
    message: string,
    details: {
      readonly hint?: string | undefined
      readonly output?: string | undefined
      readonly cause?: unknown
      readonly isTimeout?: boolean
    } = {},
  ) {
    super(message, { cause: details.cause })
    this.name = 'MachineFault'
    this.hint = details.hint
    this.output = details.output
    this.isTimeout = details.isTimeout ?? false
  }

  /** The same, with more that is known of it. */
  with(more: string): MachineFault {
    return more === '' ? this : new MachineFault(`${this.message}${more}`, { ...this, cause: this })
  }
}
