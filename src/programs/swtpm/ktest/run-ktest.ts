/** Boots the kernel with its TPMs, runs the command and judges what the kernel said meanwhile. */
import { mkdtempSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Job } from '../../../machine/job.ts'
import { availableSeries } from '../../../machine/kernel/debian.ts'
import { findKernel } from '../../../machine/kernel/find-kernel.ts'
import { type LogRecord, logLine } from '../../../machine/kernel-log.ts'
import { runInGuest } from '../../../machine/machine.ts'
import { MachineFault } from '../../../machine/machine-fault.ts'
import { temporaryDirectory, workingDirectory } from '../../../system/surroundings.ts'
import { printError } from '../../common/output.ts'
import { finishScript, prepareScript, traceArguments } from './guest-tpms.ts'
import { DRIVERS, type HardwareTpm, startHardwareTpm } from './hardware-tpm.ts'
import { memoryRoot } from './ktest-root.ts'
import type { KtestSettings } from './ktest-settings.ts'
import { OutputDirectory } from './output-directory.ts'
import { filesOfSwtpm } from './own-swtpm.ts'
import { Progress } from './progress.ts'
import { exitCodeOfSplat } from './splat-classes.ts'
import { countsOf, firstOf, type Splat, splatIn, splatsOnConsole } from './splats.ts'
import { isHardware, type TpmDescription } from './tpm-description.ts'

export const EXIT = { timeout: 124, failure: 125 } as const
const GDB_PORT = 1234

/**
 * @returns the command's exit code, or that of a splat
 * @throws MachineFault, ToolFailure when the machine does not come up, dies or exceeds the time
 */
export async function runKtest(settings: KtestSettings): Promise<number> {
  const progress = new Progress()
  const splats: Splat[] = []
  const out = settings.out === undefined ? undefined : new OutputDirectory(settings.out)
  const directory = mkdtempSync(join(temporaryDirectory(), 'ktest-'))
  const hardware: HardwareTpm[] = []
  const removeDirectory = () => rmSync(directory, { recursive: true, force: true })
  process.on('exit', removeDirectory)
  const take = (record: LogRecord) => {
    out?.log(record)
    const splat = splatIn(record)
    if (splat !== undefined) splats.push({ ...splat, text: logLine(record).trim() })
  }
  try {
    for (const tpm of settings.tpms.filter(isHardware))
      hardware.push(await startHardwareTpm(tpm, directory, out?.traceOf(tpm, settings.tpms.length === 1)))
    const job = await describe(settings, { hardware, out, progress, take })
    const status = await runInGuest(job)
    return judge(status, splats, settings)
  } catch (error) {
    if (!(error instanceof MachineFault)) throw error
    out?.console(error.output ?? '')
    splats.push(...splatsOnConsole(error.output ?? ''))
    const found = firstOf(splats, settings.failOn)
    if (found === undefined) throw error
    printError(`swtpm ktest: ${error.message}\n`)
    return judge(EXIT.failure, splats, settings)
  } finally {
    progress.end()
    await Promise.all(hardware.map((tpm) => tpm.end()))
    await out?.finish()
    removeDirectory()
    process.off('exit', removeDirectory)
  }
}

function judge(status: number, splats: readonly Splat[], { failOn }: KtestSettings): number {
  const found = firstOf(splats, failOn)
  if (found === undefined) return status
  printError(
    `swtpm ktest: the kernel's log has ${countsOf(splats)}; the command ended with ${status}\n  ${found.text}\n`,
  )
  return exitCodeOfSplat(found.kind)
}

interface Surroundings {
  readonly hardware: readonly HardwareTpm[]
  readonly out: OutputDirectory | undefined
  readonly progress: Progress
  readonly take: (record: LogRecord) => void
}

async function describe(
  settings: KtestSettings,
  { hardware, out, progress, take }: Surroundings,
): Promise<Job> {
  const { tpms, command, hasMemoryRoot, waitsForDebugger } = settings
  const onProgress = (line: string) => progress.show(line)
  const name = settings.kernel ?? (await availableSeries(onProgress))[0] ?? '6.1'
  const kernel = await findKernel(name, settings.modules, onProgress)
  const inGuest = tpms.filter((tpm) => !isHardware(tpm))
  const traces =
    out === undefined ? [] : inGuest.map((tpm) => traceArguments(tpm, out.traceOf(tpm, tpms.length === 1)))
  progress.show(`Linux ${kernel.release} is booting`)
  if (waitsForDebugger) printError(debuggerHint(kernel.image))
  return {
    kernel,
    command,
    cwd: hasMemoryRoot ? '/root' : (workingDirectory() ?? '/'),
    env: { ...settings.env },
    shares: settings.shares,
    // The program itself may be below /tmp, whose place the guest's own takes.
    keep: hasMemoryRoot ? [] : [...new Set(filesOfSwtpm().map((file) => dirname(file)))],
    cpus: settings.cpus,
    modules: { required: modulesFor(tpms), own: settings.ownModules },
    kernelArguments: settings.kernelArguments,
    bootsImage: hardware.length > 0,
    devices: [...hardware.flatMap((tpm) => tpm.qemuArguments), ...traces.flat()],
    prepare: prepareScript(tpms, out !== undefined),
    finish: finishScript(tpms, settings.failOn.includes('kmemleak')),
    onLog: take,
    onUp: () => progress.end(),
    ...(hasMemoryRoot
      ? { root: memoryRoot({ command, with: settings.with, hasSwtpm: inGuest.length > 0 }) }
      : {}),
    ...(settings.countsInstructions ? { clock: 'instructions' } : {}),
    ...(settings.timeoutMs === undefined ? {} : { timeoutMs: settings.timeoutMs }),
    ...(waitsForDebugger ? { gdbPort: GDB_PORT } : {}),
  }
}

function modulesFor(tpms: readonly TpmDescription[]): string[] {
  const module = (tpm: TpmDescription): string => {
    if (isHardware(tpm)) return DRIVERS[tpm.kind]
    return tpm.kind === 'cuse' ? 'cuse' : 'tpm_vtpm_proxy'
  }
  return [...new Set(tpms.map(module))]
}

const debuggerHint = (image: string): string =>
  `swtpm ktest: waiting for a debugger: gdb ${image} -ex 'target remote :${GDB_PORT}' -ex continue\n`
