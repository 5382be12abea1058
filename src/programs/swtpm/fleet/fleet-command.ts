/** `swtpm fleet`: many TPMs under one supervisor, and what asks that one to add, remove and list them. */

import type { UnixEndpoint } from '../../../serve/config.ts'
import { SwtpmError } from '../../../system/errors.ts'
import type { GivenOptions as ToolOptions } from '../../common/option-table.ts'
import { readCommandLine } from '../../common/read-command-line.ts'
import { ToolFailure } from '../../common/tool-failure.ts'
import { ctrlSchema } from '../options/sub-options.ts'
import { seccompOf } from '../parse/behaviour.ts'
import { unixEndpoint } from '../parse/endpoint.ts'
import type { GivenOptions } from '../parse/getopt.ts'
import { subOptionsOf } from '../parse/given.ts'
import { logOf, pidOf } from '../parse/output.ts'
import { CommandLineError } from '../parse-command-line.ts'
import { ask } from './fleet-client.ts'
import { defaultSocketPath, FLEET_OPTIONS, FLEET_VERBS, type FleetVerb } from './fleet-options.ts'
import type { FleetRequest, TpmStatus } from './fleet-protocol.ts'
import type { FleetConfig } from './serve-fleet.ts'
import { checkName } from './tpms-file.ts'

const SOCKET_MODE = 0o600
/** Those that swtpm's own options are read by. */
const SHARED = ['ctrl', 'log', 'pid', 'runas', 'seccomp'] as const
const OF_THE_CLIENT: readonly string[] = ['ctrl', 'json', 'help']

type Given = ToolOptions<typeof FLEET_OPTIONS>

/** @param argv what stands behind `fleet` @returns the exit code */
export async function fleet(argv: readonly string[]): Promise<number> {
  try {
    const { own, described } = divide(argv)
    const given = readCommandLine(
      FLEET_OPTIONS,
      own.map((word) => word.replace(/^-([hd])$/, shortOption)),
    )
    if (given.has('help')) {
      process.stdout.write(await helpText())
      return 0
    }
    const [verb, name, ...strays] = given.strays
    if (verb === undefined) {
      if (described !== undefined) throw new ToolFailure('A TPM is described behind "add NAME --"')
      const { serveFleet } = await import('./serve-fleet.ts')
      return await serveFleet(configOf(given))
    }
    if (!isVerb(verb))
      throw new ToolFailure(`Cannot "${verb}"; say add, remove or list, or none to start a fleet`)
    for (const option of Object.keys(FLEET_OPTIONS)) {
      if (given.has(option as keyof typeof FLEET_OPTIONS) && !OF_THE_CLIENT.includes(option))
        throw new ToolFailure(`--${option} is for swtpm fleet itself, when it is started, not for "${verb}"`)
    }
    if (strays.length > 0) {
      const hint = verb === 'add' ? '; the TPM\'s command line stands behind "--"' : ''
      throw new ToolFailure(`Unexpected argument "${strays[0]}"${hint}`)
    }
    return await client(verb, name, described, given)
  } catch (error) {
    if (!(error instanceof ToolFailure || error instanceof CommandLineError || error instanceof SwtpmError))
      throw error
    const hint = error instanceof SwtpmError ? '' : '; see swtpm fleet --help'
    process.stderr.write(`swtpm fleet: ${error.message}${hint}\n`)
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

const shortOption = (_: string, letter: string): string => (letter === 'h' ? '--help' : '--daemon')

const isVerb = (word: string): word is FleetVerb => (FLEET_VERBS as readonly string[]).includes(word)

function configOf(given: Given): FleetConfig {
  const options = shared(given)
  return {
    control: controlOf(options),
    tpmsFile: given.text('tpms'),
    freshEngines: given.has('fresh-engines'),
    log: logOf(options, process.env),
    pid: pidOf(options),
    runAs: given.text('runas'),
    seccomp: seccompOf(options),
    daemonize: given.has('daemon'),
  }
}

function shared(given: Given): GivenOptions {
  return new Map(
    SHARED.flatMap((name) => {
      const value = given.text(name)
      return value === undefined ? [] : [[name, value] as const]
    }),
  )
}

function controlOf(given: GivenOptions): UnixEndpoint {
  const values = subOptionsOf(given, 'ctrl', ctrlSchema)
  const path = values === undefined ? defaultSocketPath(process.env) : values.path
  const others = (['fd', 'clientfd', 'port', 'bindaddr', 'ifname', 'terminate'] as const).filter(
    (name) => values?.[name] !== undefined,
  )
  if (path === undefined || others.length > 0 || (values !== undefined && values.type !== 'unixio'))
    throw new ToolFailure('--ctrl: a fleet takes type=unixio,path=PATH, with mode, uid and gid')
  return { ...unixEndpoint('ctrl', path, values ?? {}), mode: values?.mode ?? SOCKET_MODE }
}

async function client(
  verb: FleetVerb,
  name: string | undefined,
  described: readonly string[] | undefined,
  given: Given,
): Promise<number> {
  const { path } = controlOf(shared(given))
  if (described !== undefined && verb !== 'add')
    throw new ToolFailure(`"${verb}" takes no command line behind "--"`)
  const answer = await ask(path, request(verb, name, described))
  if (!answer.ok) {
    process.stderr.write(`swtpm fleet: ${answer.error}\n`)
    return 1
  }
  if (verb === 'list')
    process.stdout.write(given.has('json') ? `${JSON.stringify(answer.tpms)}\n` : table(answer.tpms))
  return 0
}

function request(
  verb: FleetVerb,
  name: string | undefined,
  words: readonly string[] | undefined,
): FleetRequest {
  if (verb === 'list') {
    if (name !== undefined) throw new ToolFailure(`Unexpected argument "${name}": list shows all TPMs`)
    return { verb }
  }
  if (name === undefined) throw new ToolFailure(`Which TPM? ${verb} NAME`)
  if (verb === 'remove') return { verb, name }
  checkName(name)
  if (words === undefined)
    throw new ToolFailure(
      `What TPM? add ${name} -- socket --tpm2 --tpmstate dir=DIR …, as it would be started alone`,
    )
  return { verb, name, words, directory: process.cwd() }
}

function table(tpms: readonly TpmStatus[]): string {
  const rows = [
    ['NAME', 'STATE', 'INTERFACE', 'ENGINE', 'ADDRESS', 'STATE LOCATION'],
    ...tpms.map(({ name, state, interface: iface, engine, address, control, tpmstate, failure }) => [
      ...[name, state, iface, String(engine ?? '-'), address ?? control ?? '-'],
      failure === undefined ? tpmstate : `${tpmstate} (${failure})`,
    ]),
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
      'Without --ctrl the socket is /run/swtpm-fleet.sock for root, $XDG_RUNTIME_DIR/swtpm-fleet.sock for others. ' +
      'SIGTERM ends all TPMs in order; SIGUSR2 gives each a new engine.',
  })}\n`
}
