/**
 * From the words of a command line to what they mean.
 *
 * Nothing is opened or looked up here, so that every rule can be tested with plain values. One file beside this for
 * each group of options; the options themselves are declared in ../options/table.ts.
 * @see swtpm(8)
 */

import { GivenOptions } from '../../programs/common/options/given-options.ts'
import { readOptions } from '../../programs/common/options/read-options.ts'
import { UsageError } from '../../programs/common/options/usage-error.ts'
import type { CommandLine, CommonConfig, Interface, PrintRequest, StoredTpm } from '../../serve/config.ts'
import { INTERFACES } from '../../serve/config.ts'
import { namedDescriptors } from '../../system/process/inherited-descriptors.ts'
import type { InheritedDescriptor } from '../../system/process/ready-descriptor.ts'
import { IN_MEMORY } from '../../tpm/state/in-memory.ts'
import { CommandLineError } from '../exit/command-line-error.ts'
import { interfaceTable, type optionTable } from '../options/table.ts'
import {
  allowsSetLocality,
  engineBehaviourOf,
  flagsOf,
  flagsOfOther,
  migrationOf,
  profileOf,
  seccompOf,
} from './behaviour.ts'
import { chardevOf, cuseDeviceOf } from './device.ts'
import { controlOf, dataServerOf } from './endpoint.ts'
import { cNumberOf } from './given.ts'
import { keyOf } from './key.ts'
import { logOf, pcapOf, pidOf, readyFdOf, recordOf, traceOf } from './output.ts'
import { refuseUnmanageable } from './resource-manager.ts'
import { refuseOwnState, scriptOf } from './script.ts'
import { refuseExistingTpm, seedOf, withSeedInPrefix } from './seed.ts'
import { inMemoryState, requireState, type StateOptions, stateOf } from './state.ts'
import { sysfsOf } from './sysfs.ts'

type SwtpmOptions = GivenOptions<typeof optionTable>

/** The interface that the first word after `swtpm` names. */
export function isInterface(word: string | undefined): word is Interface {
  return INTERFACES.some((name) => name === word)
}

/**
 * Reads the words after `swtpm socket`, `swtpm chardev` or `swtpm cuse`.
 *
 * The result says by `action` whether a TPM is to be served (then `interface` tells the type) or something to be printed.
 * @param argv the words, without the interface's name
 * @throws {CommandLineError} for a command line that cannot be obeyed; its `exitCode(iface)` is the reference's.
 */
export function parseCommandLine(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  iface: Interface,
): CommandLine {
  const given = givenOptions(argv, iface)
  const request = printRequestOf(given, env, iface)
  if (request !== undefined) {
    if (request.action === 'print-info' && request.stored !== undefined)
      refuseExistingTpm(request.stored.state, request)
    return request
  }
  const config = runConfigOf(given, env, iface)
  if (config.action === 'run') refuseUnmanageable(config)
  if (config.action === 'run') refuseExistingTpm(config.state, config)
  refuseSharedReadyFd(config)
  return config
}

/** The descriptor is closed once the line is written. @throws {CommandLineError} */
export function refuseSharedReadyFd(config: { readonly readyFd: InheritedDescriptor | undefined }): void {
  const fd = config.readyFd?.fd
  if (namedDescriptors(config).filter((named) => named === fd).length > 1)
    throw new CommandLineError(
      'general',
      `--ready-fd: another option uses descriptor ${fd} as well`,
      'ready-fd',
    )
}

/** The options as they were given, without a check of one against another. @throws {CommandLineError} */
export function givenOptions(argv: readonly string[], iface: Interface): SwtpmOptions {
  try {
    return readOptions(interfaceTable(iface), argv, { refuseStrays: true })
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    throw new CommandLineError('setup', error.message, error.option)
  }
}

function commonOf(given: SwtpmOptions, env: NodeJS.ProcessEnv, iface: Interface): CommonConfig {
  const tpmVersion = given.has('tpm2') ? '2' : '1.2'
  const daemonize = iface === 'cuse' ? !given.has('foreground') : given.has('daemon')
  const seedInsecure = seedOf(given)
  return {
    log: withSeedInPrefix(logOf(given, env), seedInsecure),
    tpmVersion,
    fileKey: keyOf(given, 'key'),
    migrationKey: keyOf(given, 'migration-key'),
    pid: pidOf(given),
    readyFd: readyFdOf(given),
    seccomp: seccompOf(given),
    allowSetLocality: allowsSetLocality(given),
    flags: given.has('behind') ? flagsOfOther(given, tpmVersion) : flagsOf(given, tpmVersion),
    migration: migrationOf(given),
    profile: profileOf(given),
    pcap: pcapOf(given),
    seedInsecure,
    trace: traceOf(given, daemonize),
    record: recordOf(given),
    resourceManager: given.has('resource-manager'),
    script: scriptOf(given),
    sysfs: sysfsOf(given),
    runAs: given.text('runas'),
    chroot: given.text('chroot'),
    daemonize,
  }
}

/** The request to print something, if there is one. Help and version are answered whatever else was given. */
function printRequestOf(
  given: SwtpmOptions,
  env: NodeJS.ProcessEnv,
  iface: Interface,
): PrintRequest | undefined {
  for (const action of ['help', 'version'] as const) {
    if (given.has(action))
      return {
        action,
        interface: iface,
        ...commonOf(new GivenOptions<typeof optionTable>([], []), {}, iface),
      }
  }
  const request = () => ({ interface: iface, ...commonOf(given, env, iface) })
  if (given.all('fault').includes('help')) return { action: 'fault-help', ...request(), script: undefined }
  if (given.all('mode').includes('help')) return { action: 'mode-help', ...request(), script: undefined }
  if (given.has('print-capabilities')) return { action: 'print-capabilities', ...request() }
  if (given.has('print-states')) {
    const state = stateOf(given, env, 'setup')
    if (state === undefined) {
      throw new CommandLineError('setup', '--print-states needs --tpmstate, to know where to look')
    }
    return { action: 'print-states', ...request(), ...stored(given, state) }
  }
  if (given.has('print-profiles')) return { action: 'print-profiles', ...request() }
  const infoFlags = cNumberOf(given, 'print-info', 0xffff_ffff)
  if (infoFlags !== undefined) {
    const state = stateOf(given, env)
    return {
      action: 'print-info',
      ...request(),
      infoFlags,
      stored: state === undefined ? undefined : stored(given, state),
    }
  }
  return undefined
}

const stored = (given: SwtpmOptions, { state, engine }: StateOptions): StoredTpm => ({
  state,
  engine: { ...engineBehaviourOf(given), ...engine },
})

/** A TPM behind has a state of its own, and none of ours. */
function tpmToServe(given: SwtpmOptions, env: NodeJS.ProcessEnv): StoredTpm {
  if (!given.has('behind')) return stored(given, requireState(stateOf(given, env)))
  refuseOwnState(given)
  const { state, engine } = stored(given, stateOf(given, {}) ?? inMemoryState())
  // TPM2_Shutdown would go to libtpms.
  return { state, engine: { ...engine, autoShutdown: engine.autoShutdown && state !== IN_MEMORY } }
}

/** A TPM to be served: everything that it needs must be there. */
function runConfigOf(given: SwtpmOptions, env: NodeJS.ProcessEnv, iface: Interface): CommandLine {
  switch (iface) {
    case 'socket': {
      const server = dataServerOf(given, env)
      const control = controlOf(given)
      if (server === undefined && control === undefined) {
        throw new CommandLineError(
          'general',
          'Nothing to serve: give --server, --port or --fd for TPM commands, or --ctrl for a control channel',
        )
      }
      const terminate = given.has('terminate') || (server?.kind === 'fd' && server.role === 'connection')
      return {
        action: 'run',
        interface: 'socket',
        server,
        control,
        terminate,
        ...commonOf(given, env, iface),
        ...tpmToServe(given, env),
      }
    }
    case 'chardev': {
      return {
        action: 'run',
        interface: 'chardev',
        device: chardevOf(given),
        control: controlOf(given),
        ...commonOf(given, env, iface),
        ...tpmToServe(given, env),
      }
    }
    case 'cuse': {
      return {
        action: 'run',
        interface: 'cuse',
        ...cuseDeviceOf(given),
        ...commonOf(given, env, iface),
        ...tpmToServe(given, env),
      }
    }
  }
}
