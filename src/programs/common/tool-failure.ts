/** A fault that the user of a tool can put right: its text is printed as it stands, and the tool ends. */
export class ToolFailure extends Error {
  readonly exitCode: number

  constructor(message: string, options: ErrorOptions & { readonly exitCode?: number } = {}) {
    super(message, options)
    this.name = 'ToolFailure'
    this.exitCode = options.exitCode ?? 1
  }
}

/** The reason inside anything thrown, without Node's `EACCES: …, open '…'` decoration. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = (error as NodeJS.ErrnoException).code
  const system = /^[A-Z0-9]+: ([^,]+), /.exec(error.message)?.[1]
  return code !== undefined && system !== undefined ? system : error.message
}
