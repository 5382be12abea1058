/** `swtpm ktest`: runs a command on a given kernel that has our TPMs. */
import { MachineFault } from '../../../machine/machine-fault.ts'
import { sentenceOf } from '../../../system/fault.ts'
import { readOptions } from '../../common/options/read-options.ts'
import { UsageError, usageText } from '../../common/options/usage-error.ts'
import { printError, printOut } from '../../common/output.ts'
import { KTEST_OPTIONS } from './ktest-options.ts'
import { ktestSettings } from './ktest-settings.ts'
import { EXIT, runKtest } from './run-ktest.ts'
import { relayFromDevice } from './script-relay/guest-half.ts'
import { judgeInGuest } from './suite/in-guest.ts'
import { suiteOf } from './suite/suites.ts'

/** @param argv the words behind `ktest` @returns the exit code */
export async function ktest(argv: readonly string[]): Promise<number> {
  // Told to end, it still removes what it has made: that is done at process.exit().
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
  try {
    const at = argv.indexOf('--')
    const given = readOptions(KTEST_OPTIONS, at < 0 ? argv : argv.slice(0, at))
    if (given.has('help')) {
      printOut(await helpText())
      return 0
    }
    const rows = given.text('in-guest')
    if (rows !== undefined) return await inGuest(given.text('suite'), rows)
    const [stray] = given.strays
    if (stray !== undefined)
      throw new UsageError(
        `Unexpected argument "${stray}"; the command follows "--": swtpm ktest -- ${stray}`,
      )
    return await runKtest(ktestSettings(given, at < 0 ? [] : argv.slice(at + 1)))
  } catch (error) {
    if (error instanceof UsageError) printError(usageText('swtpm ktest', 'swtpm ktest', error, KTEST_OPTIONS))
    else explain(error)
    return error instanceof MachineFault && error.isTimeout ? EXIT.timeout : EXIT.failure
  }
}

/** What the guest is given to do: a relay of a script socket, or the rows of a suite. */
async function inGuest(suite = 'driver', names: string): Promise<number> {
  const [, device, path] = /^relay:(.+):(.+)$/.exec(names) ?? []
  if (device !== undefined && path !== undefined) return relayFromDevice(device, path)
  const { guestRows } = await suiteOf(suite)
  await judgeInGuest(guestRows.filter(({ name }) => names.split(',').includes(name)))
  return 0
}

function explain(error: unknown): void {
  const { output, hint } = error instanceof MachineFault ? error : { output: undefined, hint: undefined }
  if (output) printError(`${output}\n`)
  printError(`swtpm ktest: ${sentenceOf(error)}\n`)
  if (hint !== undefined) printError(`What to do: ${hint}\n`)
}

async function helpText(): Promise<string> {
  const { helpScreen } = await import('../../common/help.ts')
  return `${await helpScreen({
    tool: 'swtpm ktest',
    operands: '-- COMMAND',
    summary: 'Runs COMMAND as root on a given Linux kernel in QEMU, with our TPMs as its devices.',
    table: KTEST_OPTIONS,
    examples: [
      ['swtpm ktest -- tpm2_getrandom --hex 8', "on Debian's kernel, with /dev/tpm0 of the vTPM proxy"],
      ["swtpm ktest --kernel 6.12 --tpm vtpm --tpm tis -- sh -c 'ls $TPM_0 $TPMRM_1'", 'two TPMs'],
      [
        'swtpm ktest --kernel ~/linux --tpm crb --fail-on warning,kasan --out out -- ./my-test',
        'a kernel of yours',
      ],
      [
        "swtpm ktest --root memory --tpm tis -- sh -c 'ktest-suspend 3 && tpm2_getrandom 8'",
        'suspend to RAM',
      ],
    ],
    epilogue:
      'COMMAND finds the TPMs by $TPM_0, $TPMRM_0, $TPM_1 and so on, or by the names given to them; one that got no device has no variable. $TPM_0_SCRIPT is for swtpm fault.\n' +
      "The exit code is COMMAND's; 65 to 70 for what --fail-on found (warning, bug, kasan, kmemleak, lockdep, hung), 124 when the time " +
      'was over, 125 when the machine did not come up or died.',
  })}\n`
}
