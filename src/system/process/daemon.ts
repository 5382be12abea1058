/**
 * Moves the program to the background. Node cannot fork, so the program starts itself again, detached, and waits until
 * this copy reports that it is ready, or ends. The copy has the same arguments, and inherits the descriptors that the user
 * handed in.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { SwtpmError } from '../errors.ts'
import { check } from '../native/check.ts'
import { native } from '../native/load.ts'
import { reasonOf } from '../reason.ts'
import { passOnDescriptors } from './inherited-descriptors.ts'

/** The environment variable that tells the copy on which descriptor to report. The copy's children do not inherit it. */
const READY_FD = 'SWTPM_DAEMON_READY_FD'
const READY = Buffer.from('R')

/** The descriptor to report on, in the copy; undefined in the process that the user started. */
const readyFd = (): number | undefined => {
  const fd = process.env[READY_FD]
  return fd === undefined ? undefined : Number(fd)
}

/**
 * Starts the copy and waits for it.
 * @param config searched for `{ kind: 'fd' }` entries; the copy inherits those descriptors
 * @param onStarted called when it has, while this process waits
 * @throws SwtpmError, SystemError
 * @returns the exit code for this process once the copy is ready or has failed; undefined in the copy itself
 */
export async function enterBackground(config: object, onStarted: () => void): Promise<number | undefined> {
  const inherited = readyFd()
  if (inherited !== undefined) {
    delete process.env[READY_FD]
    check(native.setCloseOnExec(inherited, true), 'make the ready descriptor close-on-exec')
    // Opened now: there may be no /dev/null under a new root directory.
    copy = { readyFd: inherited, nullFd: openSync('/dev/null', 'r+') }
    return undefined
  }
  const [ours, theirs] = check(native.socketPair(), 'make a socket pair for the background process')
  check(native.setCloseOnExec(theirs, false), 'pass a descriptor to the background process')
  check(native.setNonBlocking(ours, false), 'wait for the background process')
  passOnDescriptors(config)
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    argv0: process.argv0,
    stdio: 'inherit',
    detached: true,
    env: { ...process.env, [READY_FD]: String(theirs) },
  })
  const exited = new Promise<number>((resolve, reject) => {
    child.on('error', (error) =>
      reject(
        new SwtpmError('SWTPM_ERR_INSTALLATION', `Cannot start the background process: ${reasonOf(error)}`, {
          cause: error,
        }),
      ),
    )
    child.on('exit', (code) => resolve(code ?? 1))
  })
  closeSync(theirs)
  onStarted()
  const answer = Buffer.alloc(1)
  // Blocks: this process has nothing else to do. End of file: the copy has ended without a report.
  if (readSync(ours, answer) === 1) return 0
  return exited
}

let copy: { readonly readyFd: number; readonly nullFd: number } | undefined

/** In the copy, when the TPM is ready: lets the first process end, and closes the terminal. */
export function reportReady(): void {
  if (copy === undefined) return
  const { readyFd, nullFd } = copy
  for (const fd of [0, 1, 2]) check(native.replace(fd, nullFd), 'close the terminal')
  closeSync(nullFd)
  writeSync(readyFd, READY)
  closeSync(readyFd)
  copy = undefined
}
