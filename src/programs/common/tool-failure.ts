import { Fault } from '../../system/errors.ts'

/** A fault that the user of a tool can put right: its text is printed, and the tool ends. */
export class ToolFailure extends Fault {
  readonly exitCode: number

  constructor(message: string, options: ErrorOptions & { readonly exitCode?: number } = {}) {
    super(message, options)
    this.name = 'ToolFailure'
    this.exitCode = options.exitCode ?? 1
  }
}
