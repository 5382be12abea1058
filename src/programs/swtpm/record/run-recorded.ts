/** A TPM of ours before another one, for as long as a command runs. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import type { TpmVersion } from '../../../serve/config.ts'
import { temporaryDirectory } from '../../../system/surroundings.ts'
import { printError } from '../../common/output.ts'
import { ToolFailure } from '../../common/tool-failure.ts'
import { type StartedTpm, startSwtpm } from '../ktest/own-swtpm.ts'
import type { Way } from './record-options.ts'

export interface RecordedRun {
  /** As `--behind` has it. */
  readonly behind: string
  readonly output: string
  readonly version: TpmVersion
  /** undefined: a device if that can be had */
  readonly way: Way | undefined
  readonly command: readonly string[]
}

interface Served {
  readonly tpm: StartedTpm
  /** By which COMMAND finds it. */
  readonly env: NodeJS.ProcessEnv
  remove(): void
}

/** @returns the exit code of the command @throws ToolFailure: the TPM cannot be served, or the command not be started */
export async function runRecorded(run: RecordedRun): Promise<number> {
  const served = await serve(run)
  try {
    return await runCommand(run.command, served.env)
  } finally {
    await served.tpm.end()
    served.remove()
  }
}

async function serve(run: RecordedRun): Promise<Served> {
  if (run.way === 'socket') return serveSocket(run)
  try {
    return await serveDevice(run)
  } catch (error) {
    if (run.way === 'proxy' || !(error instanceof ToolFailure)) throw error
    // In a container root may open /dev/vtpmx, and not make a device.
    printError(`swtpm record: ${error.message}\nThe TPM is on a socket instead, as with --via socket\n`)
    return serveSocket(run)
  }
}

const wordsOf = ({ behind, output, version }: RecordedRun): string[] => [
  ...(version === '2' ? ['--tpm2'] : []),
  ...['--behind', behind, '--record', output],
]

async function serveDevice(run: RecordedRun): Promise<Served> {
  const tpm = await startSwtpm(['chardev', '--vtpm-proxy', ...wordsOf(run)], { ownSession: true })
  const [, number] = (await tpm.announced(/\/dev\/tpm(\d+)/)) ?? []
  const device = `/dev/tpm${number}`
  const resourceManager = run.version === '2' ? `/dev/tpmrm${number}` : undefined
  return {
    tpm,
    env: {
      TPM_DEVICE: device,
      ...(resourceManager !== undefined && { TPM_RM_DEVICE: resourceManager }),
      TPM2TOOLS_TCTI: `device:${resourceManager ?? device}`,
    },
    remove: () => {},
  }
}

async function serveSocket(run: RecordedRun): Promise<Served> {
  const directory = mkdtempSync(join(temporaryDirectory(), 'swtpm-record-'))
  const remove = (): void => rmSync(directory, { recursive: true, force: true })
  process.once('exit', remove)
  // The TCTI "swtpm" looks for the control channel there.
  const path = join(directory, 'tpm')
  const sockets = ['--server', `type=unixio,path=${path}`, '--ctrl', `type=unixio,path=${path}.ctrl`]
  const tpm = await startSwtpm(['socket', ...sockets, ...wordsOf(run)], { ownSession: true })
  return { tpm, env: { TPM2TOOLS_TCTI: `swtpm:path=${path}` }, remove }
}

function runCommand([program = '', ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...env } })
    // The command decides; with Ctrl-C it has got one of its own, too.
    const pass = (signal: NodeJS.Signals): void => {
      child.kill(signal)
    }
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
    for (const signal of signals) process.on(signal, pass)
    child.on('error', (cause) =>
      reject(new ToolFailure(`Cannot run "${program}": ${cause.message}`, { cause })),
    )
    child.on('close', (code, signal) => {
      for (const one of signals) process.off(one, pass)
      resolve(code ?? 128 + constants.signals[signal as NodeJS.Signals])
    })
  })
}
