/** Where a failure of swtpm is told: in the log that the command line asks for and, while it starts, on standard error. */
import { join } from 'node:path'
import { printError } from '../../programs/common/output.ts'
import { sentenceOf } from '../../system/fault.ts'
import { escaped, underSomeGuard } from '../../system/guard.ts'
import { journalPriority } from '../../system/journal.ts'
import { type LogConfig, log } from '../../system/log.ts'
import { isStderr, STDERR } from '../../system/log-destination.ts'

/** The part of a configuration that says where the log is. */
export interface Logging {
  readonly log: LogConfig
  readonly chroot?: string | undefined
}

/**
 * Opens the log. The file of a TPM that will change its root directory is named as it will be seen from there.
 * @throws SwtpmError SWTPM_ERR_LOG
 */
export function openLog({ log: config, chroot = '' }: Logging): void {
  const { destination } = config
  log.configure(
    chroot !== '' && destination.kind === 'file'
      ? { ...config, destination: { ...destination, path: join(chroot, destination.path) } }
      : config,
  )
}

/** Reports a failure, also one from before the log was opened. */
export function reportFailure(error: unknown, logging: Logging): void {
  openLogIfPossible(logging)
  log.error(sentenceOf(error))
}

/**
 * Reports a wrong command line: on standard error, whatever the log is, and in the log that it names, which may be all that the
 * user of a program sees that starts swtpm.
 * @param logging undefined where the command line names none that can be read
 */
export function reportUsage(text: string, logging: Logging | undefined): void {
  printError(`${journalPriority(STDERR, 'error')}${text}`)
  if (logging !== undefined) openLogIfPossible(logging)
  if (isStderr(log.fd)) return
  // Standard error has it.
  log.startSucceeded()
  log.error(text)
}

function openLogIfPossible(logging: Logging): void {
  if (log.configured) return
  try {
    openLog(logging)
  } catch {
    // Standard error has to do. That the log cannot be opened is said when that was what failed.
  }
}

/**
 * For what is thrown where nothing waits for it, in a callback for one: says so and ends, with everything put in order where that
 * is still possible.
 */
export function onEscapedError(end: () => Promise<unknown>): void {
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => {
    // Of one TPM of a fleet: that ends.
    if (underSomeGuard()) return escaped(error)
    log.error(sentenceOf(error))
    // If the end fails as well, it is over.
    onEscapedError(async () => {})
    const exit = (): never => process.exit(1)
    end().then(exit, exit)
  })
}
