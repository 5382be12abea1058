/** Boots the kernel with its TPMs, runs the command or a suite, and judges what the kernel said meanwhile. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { availableSeries } from '../../../machine/kernel/debian.ts'
import { findKernel } from '../../../machine/kernel/find-kernel.ts'
import type { Kernel } from '../../../machine/kernel/kernel.ts'
import { optionsMissing } from '../../../machine/kernel/kernel-options.ts'
import { temporaryDirectory } from '../../../system/surroundings.ts'
import { printError } from '../../common/output.ts'
import type { KtestSettings } from './ktest-settings.ts'
import { type MachineEnd, type MachineWishes, runMachine } from './machine-run.ts'
import { OutputDirectory } from './output-directory.ts'
import { ownSwtpm } from './own-swtpm.ts'
import { Progress } from './progress.ts'
import { exitCodeOfSplat } from './splat-classes.ts'
import { countsOf, firstOf } from './splats.ts'
import { type Machines, runSuite } from './suite/run-suite.ts'
import { suiteOf } from './suite/suites.ts'
import { tpmDescriptions } from './tpm-description.ts'

export const EXIT = { timeout: 124, failure: 125 } as const
/** Of a row that suspends its machine; an emulated one takes seconds for all of it. */
const MACHINE_ROW_TIMEOUT_MS = 120_000

/**
 * @returns the command's exit code, or that of a splat
 * @throws MachineFault, ToolFailure when the machine does not come up, dies or exceeds the time
 */
export async function runKtest(settings: KtestSettings): Promise<number> {
  const progress = new Progress()
  const suite = settings.suite === undefined ? undefined : await suiteOf(settings.suite)
  const kernel = await kernelOf(settings, progress)
  if (suite !== undefined) return runSuite(suite, machinesFor(settings, kernel, progress))
  const out = settings.out === undefined ? undefined : new OutputDirectory(settings.out)
  try {
    return judge(await runMachine({ settings, kernel, progress, out }), settings)
  } finally {
    await out?.finish()
  }
}

async function kernelOf({ kernel, modules }: KtestSettings, progress: Progress): Promise<Kernel> {
  const onProgress = (line: string) => progress.show(line)
  const name = kernel ?? (await availableSeries(onProgress))[0] ?? '6.1'
  return findKernel(name, modules, onProgress)
}

function judge({ status, fault, splats }: MachineEnd, { failOn }: KtestSettings): number {
  const found = firstOf(splats, failOn)
  if (found === undefined) {
    if (fault !== undefined) throw fault
    return status ?? EXIT.failure
  }
  const end = fault === undefined ? `the command ended with ${status}` : fault.message
  printError(`swtpm ktest: the kernel's log has ${countsOf(splats)}; ${end}\n  ${found.text}\n`)
  return exitCodeOfSplat(found.kind)
}

function machinesFor(settings: KtestSettings, kernel: Kernel, progress: Progress): Machines {
  const run = (
    more: Partial<KtestSettings>,
    wishes: Pick<MachineWishes, 'stdout' | 'signal' | 'out'>,
  ): Promise<MachineEnd> => runMachine({ settings: { ...settings, ...more }, kernel, progress, ...wishes })
  return {
    judge: (rows, stdout, signal) =>
      run(
        {
          tpms: [],
          command: [ownSwtpm(), 'ktest', '--in-guest', rows.join(','), '--suite', settings.suite!],
        },
        { stdout, signal },
      ),
    lacking: (options) => optionsMissing(kernel, options),
    run: async ({ tpm, root, needs = [] }, script, stdout) => {
      const directory = mkdtempSync(join(temporaryDirectory(), 'ktest-row-'))
      try {
        const out = new OutputDirectory(directory)
        const end = await run(
          {
            tpms: tpmDescriptions([tpm]),
            command: ['sh', '-c', script],
            hasMemoryRoot: root === 'memory',
            wantedModules: needs.includes('TRUSTED_KEYS') ? ['trusted'] : [],
            timeoutMs: MACHINE_ROW_TIMEOUT_MS,
          },
          { stdout, out },
        )
        await out.finish()
        return { ...end, trace: readFileSync(join(directory, 'trace.txt'), 'utf8').split('\n') }
      } finally {
        rmSync(directory, { recursive: true, force: true })
      }
    },
  }
}
