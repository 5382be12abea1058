/**
 * From the words of a command line to what they mean.
 *
 * Nothing is opened or looked up here, so that every rule can be tested with plain values. The parts are in ./parse/, one
 * file for a group of options; the options themselves are declared in ./options/table.ts.
 * @see swtpm(8)
 */

import type { CommandLine, CommonConfig, PrintRequest, StateLocation } from '../../serve/config.ts'
import { notYet } from './options/not-yet.ts'
import type { Interface } from './options/option.ts'
import { optionRow } from './options/table.ts'
import { flagsOf, localityOf, migrationOf, profileOf, seccompOf } from './parse/behaviour.ts'
import { CommandLineError } from './parse/command-line-error.ts'
import { chardevOf, cuseDeviceOf } from './parse/device.ts'
import { controlOf, dataServerOf } from './parse/endpoint.ts'
import { type GivenOptions, getopt } from './parse/getopt.ts'
import { argumentOf, cNumberOf } from './parse/given.ts'
import { keyOf } from './parse/key.ts'
import { logOf, pcapOf, pidOf } from './parse/output.ts'
import { requireState, stateOf } from './parse/state.ts'

export type * from '../../serve/config.ts'
export type { Interface } from './options/option.ts'
export { CommandLineError, exitCodes } from './parse/command-line-error.ts'
export { exitCodeOf } from './parse/exit-code.ts'

/** The interface that the first word after `swtpm` names. */
export function isInterface(word: string | undefined): word is Interface {
  return word === 'socket' || word === 'chardev' || word === 'cuse'
}

/**
 * Reads the words after `swtpm socket`, `swtpm chardev` or `swtpm cuse`.
 *
 * The result says by `action` whether a TPM is to be served (then `interface` tells the type) or something to be printed.
 * @param argv the words, without the interface's name
 * @throws {CommandLineError} for whatever cannot be obeyed; its `exitCode(iface)` is the reference's.
 */
export function parseCommandLine(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  iface: Interface,
): CommandLine {
  const given = getopt(argv, iface)
  return printRequestOf(given, env, iface) ?? runConfigOf(given, env, iface)
}

function commonOf(given: GivenOptions, env: NodeJS.ProcessEnv, iface: Interface): CommonConfig {
  const tpmVersion = given.has('tpm2') ? '2' : '1.2'
  return {
    log: logOf(given, env),
    tpmVersion,
    fileKey: keyOf(given, 'key'),
    migrationKey: keyOf(given, 'migration-key'),
    pid: pidOf(given),
    seccomp: seccompOf(given),
    locality: localityOf(given),
    flags: flagsOf(given, tpmVersion),
    migration: migrationOf(given),
    profile: profileOf(given),
    pcap: pcapOf(given),
    runAs: argumentOf(given, 'runas'),
    chroot: argumentOf(given, 'chroot'),
    daemonize: iface === 'cuse' ? !given.has('foreground') : given.has('daemon'),
  }
}

/** The request to print something, if there is one. Help and version are answered whatever else was given. */
function printRequestOf(
  given: GivenOptions,
  env: NodeJS.ProcessEnv,
  iface: Interface,
): PrintRequest | undefined {
  for (const action of ['help', 'version'] as const) {
    if (given.has(action)) return { action, interface: iface, ...commonOf(new Map(), {}, iface) }
  }
  const request = () => ({ interface: iface, ...commonOf(given, env, iface) })
  if (given.has('print-capabilities')) return { action: 'print-capabilities', ...request() }
  if (given.has('print-states')) {
    const state = stateOf(given, env, 'setup')
    if (state === undefined) {
      throw new CommandLineError('setup', '--print-states needs --tpmstate, to know where to look')
    }
    return { action: 'print-states', ...request(), state }
  }
  if (given.has('print-profiles')) return { action: 'print-profiles', ...request() }
  const infoFlags = cNumberOf(given, 'print-info', 0xffff_ffff)
  if (infoFlags !== undefined) {
    return { action: 'print-info', ...request(), infoFlags, state: stateOf(given, env) }
  }
  return undefined
}

function stateToServe(given: GivenOptions, env: NodeJS.ProcessEnv): StateLocation {
  const state = requireState(stateOf(given, env))
  refuseNotYet(given, state)
  return state
}

/** What would do nothing is refused, so that nobody relies on it. */
function refuseNotYet(given: GivenOptions, state: StateLocation): void {
  for (const name of given.keys()) {
    const { feature } = optionRow(name)
    if (feature !== undefined && notYet.has(feature)) {
      throw new CommandLineError('badOption', `--${name} is not supported by this version`, name)
    }
  }
  if (state.kind === 'linear' && notYet.has('nvram-backend-file')) {
    throw new CommandLineError(
      'badOption',
      '--tpmstate: backend-uri=file:// is not supported by this version; use dir=DIR',
      'tpmstate',
    )
  }
}

/** A TPM to be served: everything that it needs must be there. */
function runConfigOf(given: GivenOptions, env: NodeJS.ProcessEnv, iface: Interface): CommandLine {
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
        state: stateToServe(given, env),
      }
    }
    case 'chardev': {
      return {
        action: 'run',
        interface: 'chardev',
        device: chardevOf(given),
        control: controlOf(given),
        ...commonOf(given, env, iface),
        state: stateToServe(given, env),
      }
    }
    case 'cuse': {
      return {
        action: 'run',
        interface: 'cuse',
        ...cuseDeviceOf(given),
        ...commonOf(given, env, iface),
        state: stateToServe(given, env),
      }
    }
  }
}
