/** `swtpm run`: a TPM for the length of a command. */
import { existsSync } from 'node:fs'
import { createTpm } from '../../../library/create-tpm.ts'
import type { Exposure } from '../../../library/device.ts'
import { cuse, vtpmProxy } from '../../../library/kernel-devices.ts'
import { tcpSocket } from '../../../library/sockets.ts'
import { sentenceOf } from '../../../system/fault.ts'
import { log } from '../../../system/log.ts'
import type { GivenOptions } from '../../common/options/given-options.ts'
import { readOptions } from '../../common/options/read-options.ts'
import { UsageError, usageText } from '../../common/options/usage-error.ts'
import { printError, printOut } from '../../common/output.ts'
import { NotStarted, runChild } from './run-child.ts'
import { RUN_OPTIONS } from './run-options.ts'
import { toolEnvironment } from './tool-environment.ts'

type Given = GivenOptions<typeof RUN_OPTIONS>

/** Options that mean what they mean to `swtpm socket`. */
const AS_GIVEN = ['seed-insecure', 'fault-seed', 'script-socket', 'trace', 'record', 'pcap'] as const

/** The TPM could not be had: no exit code that a command is likely to have. */
const NO_TPM = 125

/** @param argv the words behind `run` @returns the exit code */
export async function run(argv: readonly string[]): Promise<number> {
  try {
    const at = argv.indexOf('--')
    const given = readOptions(RUN_OPTIONS, at < 0 ? argv : argv.slice(0, at))
    if (given.has('help')) {
      printOut(await helpText())
      return 0
    }
    const language = await languageHelp(given)
    if (language !== undefined) {
      printOut(language)
      return 0
    }
    const [stray] = given.strays
    if (stray !== undefined)
      throw new UsageError(`Unexpected argument "${stray}"; the command follows "--": swtpm run -- ${stray}`)
    const command = at < 0 ? [] : argv.slice(at + 1)
    if (!command[0]) throw new UsageError('Missing command: swtpm run -- tpm2_getrandom --hex 8')
    return await runWithTpm(given, command)
  } catch (error) {
    if (error instanceof UsageError) printError(usageText('swtpm run', 'swtpm run', error, RUN_OPTIONS))
    else printError(`swtpm run: ${sentenceOf(error)}\n`)
    return error instanceof NotStarted ? error.exitCode : NO_TPM
  }
}

/** What `--fault help` and `--mode help` ask for. */
async function languageHelp(given: Given): Promise<string | undefined> {
  if (given.all('fault').includes('help'))
    return (await import('../../../responders/rules/effect-help.ts')).effectHelp()
  if (given.all('mode').includes('help'))
    return (await import('../../../responders/modes/mode-table.ts')).modeHelp()
  return undefined
}

async function runWithTpm(given: Given, command: readonly string[]): Promise<number> {
  const faults = given.all('fault')
  log.configure({
    destination: { kind: 'stderr' },
    level: 1,
    prefix: 'swtpm run: ',
    format: 'text',
    // Which commands a fault strikes is what its user wants to know.
    problemsOnly: faults.length === 0,
  })
  const state = given.text('state')
  const tpm = await createTpm({
    version: given.has('tpm12') ? '1.2' : '2',
    ...(state !== undefined && { state }),
    certificates: given.has('with-ek-cert'),
    mode: given.all('mode'),
    faults,
    words: AS_GIVEN.flatMap((name) => {
      const value = given.text(name)
      return value === undefined ? [] : [`--${name}`, value]
    }),
  })
  try {
    const device = await tpm.expose(given.has('device') ? kernelDevice() : tcpSocket())
    return await runChild(command, { ...process.env, ...toolEnvironment(device) })
  } finally {
    await tpm.close()
  }
}

/** A device of the kernel itself has a resource manager, and is taken where it can be had. */
const kernelDevice = (): Exposure =>
  !existsSync('/dev/vtpmx') && existsSync('/dev/cuse') ? cuse() : vtpmProxy()

async function helpText(): Promise<string> {
  const { helpScreen } = await import('../../common/help.ts')
  return `${await helpScreen({
    tool: 'swtpm run',
    operands: '-- COMMAND',
    summary: 'Runs COMMAND with a TPM of its own, which is there when it starts and gone when it ends.',
    table: RUN_OPTIONS,
    examples: [
      ['$0 -- tpm2_getrandom --hex 8', 'a tool'],
      ['$0 -- make check', 'a test suite'],
      ["$0 --fault 'GetRandom#1: rc=RETRY' -- ./my-test", 'with a TPM that is busy once'],
      ['$0 --trace trace.txt -- make check', 'with all commands and responses in words'],
      ["sudo $0 --device -- sh -c 'ls /dev/tpm*; tpm2_pcrread'", 'with a device of the kernel'],
    ],
    epilogue:
      'Programs find the TPM by their environment: TPM2TOOLS_TCTI, TPM2OPENSSL_TCTI, TPM2_PKCS11_TCTI, and for the TSS of IBM and ' +
      'TrouSerS TPM_INTERFACE_TYPE and TCSD_USE_TCP_DEVICE with what belongs to them. The exit code is that of COMMAND; 125: ' +
      'there is no TPM; 126, 127: COMMAND cannot be run.',
  })}\n`
}
