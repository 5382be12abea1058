/** `swtpm fleet`: starts a fleet, or asks the one that runs to add, remove or list TPMs. */

import { reportFailure, reportUsage } from '../../../command-line/exit/report-failure.ts'
import { seccompOf } from '../../../command-line/parse/behaviour.ts'
import { namedLog } from '../../../command-line/parse/named-log.ts'
import { logOf, pidOf, readyFdOf } from '../../../command-line/parse/output.ts'
import { refuseSharedReadyFd } from '../../../command-line/parse/parse-command-line.ts'
import { sentenceOf } from '../../../system/fault.ts'
import { workingDirectory } from '../../../system/surroundings.ts'
import type { GivenOptions } from '../../common/options/given-options.ts'
import { readOptions } from '../../common/options/read-options.ts'
import { unknownVerb } from '../../common/options/unknown-verb.ts'
import { UsageError, usageText } from '../../common/options/usage-error.ts'
import { printError, printOut } from '../../common/output.ts'
import { ask } from './fleet-client.ts'
import { controlOf } from './fleet-control.ts'
import { FLEET_OPTIONS, FLEET_VERBS, type FleetVerb } from './fleet-options.ts'
import type { FleetRequest, TpmStatus } from './fleet-protocol.ts'
import type { FleetConfig } from './serve-fleet.ts'
import { checkName } from './tpms-file.ts'

const OF_THE_CLIENT: readonly string[] = ['ctrl', 'json', 'help']

type Given = GivenOptions<typeof FLEET_OPTIONS>

/** @param argv the words behind `fleet` @returns the exit code */
export async function fleet(argv: readonly string[]): Promise<number> {
  try {
    const { own, described } = divide(argv)
    const given = readOptions(FLEET_OPTIONS, own)
    if (given.has('help')) {
      printOut(await helpText())
      return 0
    }
    const [verb, name, ...strays] = given.strays
    if (verb === undefined) {
      if (described !== undefined) throw new UsageError('A TPM is described behind "add NAME --" only')
      return await serve(configOf(given))
    }
    if (!isVerb(verb)) throw unknownVerb(verb, FLEET_VERBS, 'or none to start a fleet')
    for (const option of Object.keys(FLEET_OPTIONS)) {
      if (given.has(option as keyof typeof FLEET_OPTIONS) && !OF_THE_CLIENT.includes(option))
        throw new UsageError(`--${option} is for swtpm fleet itself, when it is started, not for "${verb}"`)
    }
    if (strays.length > 0) {
      const hint = verb === 'add' ? '; the TPM\'s command line follows "--"' : ''
      throw new UsageError(`Unexpected argument "${strays[0]}"${hint}`)
    }
    return await client(verb, name, described, given)
  } catch (error) {
    if (error instanceof UsageError)
      reportUsage(
        usageText('swtpm fleet', 'swtpm fleet', error, FLEET_OPTIONS),
        namedLog(FLEET_OPTIONS, divide(argv).own),
      )
    else printError(`swtpm fleet: ${sentenceOf(error)}\n`)
    return 1
  }
}

async function serve(config: FleetConfig): Promise<number> {
  const { serveFleet } = await import('./serve-fleet.ts')
  try {
    return await serveFleet(config)
  } catch (error) {
    if (error instanceof UsageError) throw error
    reportFailure(error, config)
    return 1
  }
}

/** Behind the first `--` is the command line of a TPM. */
function divide(argv: readonly string[]) {
  const at = argv.indexOf('--')
  return at < 0
    ? { own: argv, described: undefined }
    : { own: argv.slice(0, at), described: argv.slice(at + 1) }
}

const isVerb = (word: string): word is FleetVerb => (FLEET_VERBS as readonly string[]).includes(word)

function configOf(given: Given): FleetConfig {
  const config = {
    control: controlOf(given),
    tpmsFile: given.text('tpms'),
    freshEngines: given.has('fresh-engines'),
    log: logOf(given, process.env),
    pid: pidOf(given),
    readyFd: readyFdOf(given),
    runAs: given.text('runas'),
    seccomp: seccompOf(given),
    daemonize: given.has('daemon'),
  }
  refuseSharedReadyFd(config)
  return config
}

async function client(
  verb: FleetVerb,
  name: string | undefined,
  described: readonly string[] | undefined,
  given: Given,
): Promise<number> {
  const { path } = controlOf(given)
  if (described !== undefined && verb !== 'add')
    throw new UsageError(`"${verb}" takes no command line behind "--"`)
  const answer = await ask(path, request(verb, name, described))
  if (!answer.ok) {
    printError(`swtpm fleet: ${answer.error}\n`)
    return 1
  }
  if (verb === 'list') printOut(given.has('json') ? `${JSON.stringify(answer.tpms)}\n` : table(answer.tpms))
  return 0
}

function request(
  verb: FleetVerb,
  name: string | undefined,
  words: readonly string[] | undefined,
): FleetRequest {
  if (verb === 'list') {
    if (name !== undefined) throw new UsageError(`Unexpected argument "${name}": list shows all TPMs`)
    return { verb }
  }
  if (name === undefined) throw new UsageError(`Missing the TPM's name: ${verb} NAME`)
  if (verb === 'remove') return { verb, name }
  checkName(name)
  if (words === undefined)
    throw new UsageError(
      `Missing the TPM's command line: swtpm fleet add ${name} -- socket --tpm2 --tpmstate dir=DIR …`,
    )
  return { verb, name, words, directory: workingDirectory() ?? null }
}

const remarksOn = (insecureSeed: number | undefined, failure: string | undefined): string[] => [
  ...(insecureSeed === undefined ? [] : [`(insecure seed ${insecureSeed})`]),
  ...(failure === undefined ? [] : [`(${failure})`]),
]

function table(tpms: readonly TpmStatus[]): string {
  const rows = [
    ['NAME', 'STATE', 'INTERFACE', 'ENGINE', 'ADDRESS', 'STATE LOCATION'],
    ...tpms.map(
      ({ name, state, interface: iface, engine, address, control, tpmstate, insecureSeed, failure }) => [
        ...[name, state, iface, String(engine ?? '-'), address ?? control ?? '-'],
        [tpmstate, ...remarksOn(insecureSeed, failure)].join(' '),
      ],
    ),
  ]
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

async function helpText(): Promise<string> {
  const { helpScreen } = await import('../../common/help.ts')
  return `${await helpScreen({
    tool: 'swtpm fleet [add NAME -- COMMAND LINE | remove NAME | list]',
    summary:
      'Many TPMs under one supervisor; each is described by the command line that it would have alone.',
    table: FLEET_OPTIONS,
    examples: [
      ['swtpm fleet --tpms /etc/swtpm/tpms --daemon', 'start a fleet with the TPMs of a file'],
      [
        'swtpm fleet add web -- socket --tpm2 --tpmstate dir=/var/lib/web --ctrl type=unixio,path=/run/web.sock',
        'one more TPM, when this returns it is served',
      ],
      ['swtpm fleet list --json', 'which there are, their sockets, devices and engines'],
      ['swtpm fleet remove web', 'end it in order'],
    ],
    epilogue:
      'Without --ctrl the socket is that of SWTPM_FLEET_SOCKET, if it is set, or /run/swtpm-fleet.sock for root, $XDG_RUNTIME_DIR/swtpm-fleet.sock for others. ' +
      'SIGTERM ends all TPMs in order; SIGUSR2 gives each a new engine.',
  })}\n`
}
