/** The configuration of a TPM in a fleet: from the command line that it would have alone, without options that concern the process. */
import { isAbsolute, resolve } from 'node:path'
import { CommandLineError } from '../../../command-line/exit/command-line-error.ts'
import type { OptionName } from '../../../command-line/options/table.ts'
import {
  givenOptions,
  isInterface,
  parseCommandLine,
} from '../../../command-line/parse/parse-command-line.ts'
import { withSeedInPrefix } from '../../../command-line/parse/seed.ts'
import type { SwtpmConfig } from '../../../serve/config.ts'

/** These concern the process, which all TPMs of a fleet have in common. */
const OF_THE_PROCESS: ReadonlySet<OptionName> = new Set([
  'daemon',
  'pid',
  'ready-fd',
  'runas',
  'log',
  'seccomp',
])
const NOT_IN_A_FLEET: ReadonlySet<OptionName> = new Set(['chroot', 'foreground', 'sysfs'])

/** What a TPM has from its fleet. */
export type FleetShare = Pick<SwtpmConfig, 'log' | 'seccomp' | 'runAs'>

/**
 * @param words as they would stand behind `swtpm`
 * @param directory absolute; where relative paths begin. Undefined: there is none, and they are refused
 * @throws CommandLineError
 */
export function fleetTpm(
  name: string,
  words: readonly string[],
  directory: string | undefined,
  { log, seccomp, runAs }: FleetShare,
): SwtpmConfig {
  const [iface, ...rest] = words
  if (!isInterface(iface)) {
    throw refused(
      iface === undefined
        ? 'there is no command line; write socket, chardev or cuse and its options'
        : `"${iface}" is no interface; write socket, chardev or cuse`,
    )
  }
  for (const { name: option } of givenOptions(rest, iface).list) {
    if (OF_THE_PROCESS.has(option)) {
      throw refused(`--${option} concerns all TPMs of a fleet: give it to swtpm fleet itself`)
    }
    if (NOT_IN_A_FLEET.has(option)) {
      throw refused(
        `--${option} is for a swtpm with one TPM: start it by swtpm ${iface}, or leave the option out`,
      )
    }
  }
  // TPM_PATH and TPM_PORT of the fleet are not meant for each of its TPMs.
  const config = parseCommandLine(rest, {}, iface)
  if (config.action !== 'run') {
    throw refused(`--${config.action} prints something and ends: say swtpm ${iface} --${config.action}`)
  }
  if (config.trace?.destination.kind === 'stdout')
    throw refused('--trace -: the lines of all TPMs would be mixed; name a file')
  return {
    ...located(config, directory),
    log: withSeedInPrefix({ ...log, prefix: `${log.prefix}${name}: ` }, config.seedInsecure),
    seccomp,
    runAs,
    // Only the fleet's own --daemon takes the process to the background.
    daemonize: false,
  }
}

/** The same with absolute paths. Descriptors are refused: a request to a fleet carries none. @throws CommandLineError */
function located<T>(value: T, directory: string | undefined): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  if ('inMemory' in value) return value
  if ('kind' in value && value.kind === 'fd') {
    throw refused('descriptors are not handed over to a fleet: name a path instead of the number')
  }
  const entries = Object.entries(value).map(([key, inner]) => [
    key,
    key === 'path' && typeof inner === 'string' ? absolute(inner, directory) : located(inner, directory),
  ])
  return Object.fromEntries(entries)
}

function absolute(path: string, directory: string | undefined): string {
  if (isAbsolute(path)) return path
  if (directory === undefined)
    throw refused(`"${path}" begins in the working directory, which is gone: name an absolute path`)
  return resolve(directory, path)
}

const refused = (text: string): CommandLineError => new CommandLineError('setup', text)
