/**
 * Writes the keys and certificates of a TPM that exists to files. They are read from a copy of its state, on which a TPM of
 * its own is started: the TPM itself is not changed, and may be running.
 */
import { sha1 } from '../../tpm-commands/tpm12-commands.ts'
import { ToolFailure } from '../common/tool-failure.ts'
import type { ToolLog } from '../common/tool-log.ts'
import { exportTpm2 } from './export-tpm2.ts'
import { exportTpm12 } from './export-tpm12.ts'
import type { Task } from './setup-task.ts'
import type { ReadablePlace } from './state-place.ts'
import { onTerminatingSignal } from './terminating-signal.ts'
import type { TpmCommandLine } from './tpm-command-line.ts'
import { TpmProcess } from './tpm-process.ts'
import { UserFiles } from './user-files.ts'

export interface KeyExport {
  readonly command: TpmCommandLine
  readonly task: Task
  /** Of the files. */
  readonly folder: string
  readonly place: ReadablePlace
  readonly log: ToolLog
  /** Whether it is an error when the TPM has nothing to be written. */
  readonly required: boolean
}

/** @throws ToolFailure when the TPM does not start with this state, or has nothing to be written */
export async function exportKeys({ command, task, folder, place, log, required }: KeyExport): Promise<void> {
  const copy = place.copy(task.version, 'permanent')
  // A TPM that wants to start on the state need not wait for the rest.
  place.close()
  const files = new UserFiles(folder, false)
  let tpm: TpmProcess | undefined
  const discard = async (): Promise<void> => {
    await tpm?.kill()
    copy.remove()
    files.discard()
  }
  const guard = onTerminatingSignal(discard)
  try {
    tpm = await TpmProcess.start({
      command,
      tpm2: task.tpm2,
      stateUri: copy.uri,
      log,
      args: task.encryption?.args ?? [],
      passedFds: task.encryption?.passedFds ?? [],
    })
    await tpm.ready()
    const exported = task.tpm2 ? await exportTpm2(tpm) : await exportTpm12(tpm, ownerAuthOf(task))
    if (exported.length === 0) {
      const nothing = `Found neither endorsement keys nor certificates in the TPM at ${task.state.path}`
      if (required) throw new ToolFailure(nothing)
      log.info(nothing)
      return
    }
    for (const { name, content } of exported) files.add(name, content)
    files.publish()
    log.info(`Wrote ${exported.map(({ name }) => name).join(', ')} to ${folder}.`)
  } finally {
    guard.release()
    await discard()
  }
}

const ownerAuthOf = (task: Task): Buffer => sha1(task.ownership.ownerPassword ?? Buffer.alloc(20))
