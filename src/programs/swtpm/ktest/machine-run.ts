/** One machine of `swtpm ktest`: its TPMs, its kernel, and what the kernel has said when it has ended. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Job } from '../../../machine/job.ts'
import type { Kernel } from '../../../machine/kernel/kernel.ts'
import { type LogRecord, logLine } from '../../../machine/kernel-log.ts'
import { runInGuest } from '../../../machine/machine.ts'
import { MachineFault } from '../../../machine/machine-fault.ts'
import { temporaryDirectory, workingDirectory } from '../../../system/surroundings.ts'
import { printError } from '../../common/output.ts'
import { finishScript, prepareScript, scriptChannel, traceArguments } from './guest-tpms.ts'
import { DRIVERS, type HardwareTpm, startHardwareTpm } from './hardware-tpm.ts'
import { memoryRoot } from './ktest-root.ts'
import type { KtestSettings } from './ktest-settings.ts'
import type { OutputDirectory } from './output-directory.ts'
import { filesOfSwtpm } from './own-swtpm.ts'
import type { Progress } from './progress.ts'
import { relayToSocket } from './script-relay/host-half.ts'
import { type Splat, splatIn, splatsOnConsole } from './splats.ts'
import { rulesInWords } from './struck-rules.ts'
import { isHardware, type TpmDescription } from './tpm-description.ts'

const GDB_PORT = 1234

export interface MachineWishes {
  readonly kernel: Kernel
  readonly settings: KtestSettings
  readonly progress: Progress
  readonly out?: OutputDirectory | undefined
  readonly stdout?: NodeJS.WritableStream
  /** Ends the machine. */
  readonly signal?: AbortSignal
}

export interface MachineEnd {
  /** Of the command; undefined: the machine has died, or the time was over. */
  readonly status: number | undefined
  readonly fault: MachineFault | undefined
  readonly splats: readonly Splat[]
  /** The kernel's log, a line each. */
  readonly log: readonly string[]
}

/**
 * Boots, runs the command, ends.
 * @throws MachineFault, ToolFailure when it could not be started
 */
export async function runMachine(wishes: MachineWishes): Promise<MachineEnd> {
  const { settings, out, progress } = wishes
  const directory = mkdtempSync(join(temporaryDirectory(), 'ktest-'))
  const removeDirectory = () => rmSync(directory, { recursive: true, force: true })
  process.on('exit', removeDirectory)
  const hardware: HardwareTpm[] = []
  const splats: Splat[] = []
  const log: string[] = []
  const take = (record: LogRecord) => {
    out?.log(record)
    log.push(record.text)
    const splat = splatIn(record)
    if (splat !== undefined) splats.push({ ...splat, text: logLine(record).trim() })
  }
  try {
    for (const tpm of settings.tpms.filter(isHardware))
      hardware.push(
        await startHardwareTpm(
          tpm,
          directory,
          out && { pcap: out.traceOf(tpm, settings.tpms.length === 1), recording: out.recordingOf(tpm) },
        ),
      )
    try {
      const status = await runInGuest(describe(wishes, hardware, take))
      return { status, fault: undefined, splats, log }
    } catch (error) {
      if (!(error instanceof MachineFault)) throw error
      out?.console(error.output ?? '')
      splats.push(...splatsOnConsole(error.output ?? ''))
      const fault = error.with(await rulesInWords(settings.tpms, hardware))
      return { status: undefined, fault, splats, log }
    }
  } finally {
    progress.end()
    await Promise.all(hardware.map((tpm) => tpm.end()))
    removeDirectory()
    process.off('exit', removeDirectory)
  }
}

function describe(
  { settings, kernel, out, progress, stdout, signal }: MachineWishes,
  hardware: readonly HardwareTpm[],
  onLog: (record: LogRecord) => void,
): Job {
  const { tpms, command, hasMemoryRoot, waitsForDebugger } = settings
  const inGuest = tpms.filter((tpm) => !isHardware(tpm))
  const traces =
    out === undefined
      ? []
      : inGuest.map((tpm) => traceArguments(tpm, out.traceOf(tpm, tpms.length === 1), out.recordingOf(tpm)))
  // In memory it takes a hundred megabytes, which only some need.
  const hasSwtpm = !hasMemoryRoot || inGuest.length > 0 || settings.with.includes('swtpm')
  progress.show(`Linux ${kernel.release} is booting`)
  if (waitsForDebugger) printError(debuggerHint(kernel))
  return {
    kernel,
    command,
    cwd: hasMemoryRoot ? '/root' : (workingDirectory() ?? '/'),
    env: settings.env,
    shares: settings.shares,
    // The program itself may be below /tmp, whose place the guest's own takes.
    keep: hasMemoryRoot
      ? []
      : [...new Set([...filesOfSwtpm(), ...fileOfSuite(settings)].map((file) => dirname(file)))],
    cpus: settings.cpus,
    modules: { required: modulesFor(settings), wanted: settings.wantedModules, own: settings.ownModules },
    kernelArguments: settings.kernelArguments,
    bootsImage: hardware.length > 0,
    devices: [...hardware.flatMap((tpm) => tpm.qemuArguments), ...traces.flat()],
    prepare: prepareScript(tpms, { isTraced: out !== undefined, hasSwtpm }),
    channels: new Map(
      hasSwtpm ? hardware.map((tpm) => [scriptChannel(tpm), (end) => relayToSocket(end, tpm.script)]) : [],
    ),
    finish: finishScript(tpms, settings.failOn.includes('kmemleak')),
    onLog,
    onUp: () => progress.end(),
    ...(hasMemoryRoot ? { root: memoryRoot({ command, with: settings.with, hasSwtpm }) } : {}),
    ...(stdout === undefined ? {} : { stdout }),
    ...(signal === undefined ? {} : { signal }),
    ...(settings.countsInstructions ? { clock: 'instructions' } : {}),
    ...(settings.timeoutMs === undefined ? {} : { timeoutMs: settings.timeoutMs }),
    ...(waitsForDebugger ? { gdbPort: GDB_PORT } : {}),
  }
}

const fileOfSuite = ({ suite }: KtestSettings): string[] =>
  suite === undefined || suite === 'driver' ? [] : [suite]

function modulesFor({ tpms, suite }: KtestSettings): string[] {
  const module = (tpm: TpmDescription): string => {
    if (isHardware(tpm)) return DRIVERS[tpm.kind]
    return tpm.kind === 'cuse' ? 'cuse' : 'tpm_vtpm_proxy'
  }
  const ofSuite = suite !== undefined && tpms.length === 0 ? ['tpm_vtpm_proxy'] : []
  return [...new Set([...tpms.map(module), ...ofSuite])]
}

/** A build tree has the symbols. */
const debuggerHint = ({ modules = '.' }: Kernel): string =>
  `swtpm ktest: waiting for a debugger: gdb ${existsSync(join(modules, 'vmlinux')) ? join(modules, 'vmlinux') : ''} -ex 'target remote :${GDB_PORT}' -ex continue\n`
