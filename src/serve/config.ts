/**
 * What a command line means: the result of {@link parseCommandLine}, one type for each interface.
 *
 * Everything is decided here that can be decided without touching the system: defaults, implications, environment
 * variables. Nothing is opened, looked up or read yet; file descriptors are unchecked numbers.
 */

import type { EngineOptionValues, TpmVersion } from '../../contract/engine-options.ts'
import type { BehindConfig } from '../behind/config.ts'
import type { LogConfig } from '../system/log.ts'
import type { PidFileTarget } from '../system/process/pid-file.ts'
import type { InheritedDescriptor } from '../system/process/ready-descriptor.ts'
import type { Owner } from '../system/process/users.ts'
import type { KeySource } from '../tpm/state/state-key.ts'
import type { StateLocation } from '../tpm/state/state-location.ts'
import type { StartupType } from '../tpm-commands/startup.ts'
import type { PcapConfig } from './trace/pcap-file.ts'
import type { RecordConfig } from './trace/recorder.ts'
import type { TraceConfig } from './trace/trace-file.ts'

export type { KeySource, LogConfig, Owner, PcapConfig, PidFileTarget, StateLocation, TpmVersion, TraceConfig }

/** The three front ends, as the first word of the command line names them. */
export const INTERFACES = ['socket', 'chardev', 'cuse'] as const
export type Interface = (typeof INTERFACES)[number]

/** A listening Unix socket to be made. */
export interface UnixEndpoint {
  readonly kind: 'unix'
  readonly path: string
  readonly mode: number
  readonly uid: Owner | undefined
  readonly gid: Owner | undefined
}

/** A listening TCP socket to be made. */
export interface TcpEndpoint {
  readonly kind: 'tcp'
  readonly port: number
  /** An IPv4 or IPv6 address. */
  readonly bindAddress: string
  /** Scope of a link-local address. */
  readonly interfaceName: string | undefined
}

/** A socket that was handed in. */
export interface InheritedEndpoint {
  readonly kind: 'fd'
  readonly fd: number
  readonly role: 'listener' | 'connection'
}

export type ServerEndpoint = UnixEndpoint | TcpEndpoint | InheritedEndpoint

/** Where TPM commands come from on the socket interface. */
export type DataEndpoint = ServerEndpoint & {
  /** Close the connection after each response. */
  readonly disconnect: boolean
}

/** Where control commands come from. */
export type ControlEndpoint = ServerEndpoint & {
  /** End the TPM when the control connection is lost. */
  readonly terminate: boolean
}

/** The Startup that is sent when the TPM is powered on. */
export type StartupChoice = StartupType | 'none'
export type SeccompAction = 'none' | 'log' | 'kill'

/** The profile of a new TPM 2.0. */
export interface ProfileConfig {
  readonly source:
    | { readonly kind: 'json'; readonly json: string }
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'fd'; readonly fd: number }
  readonly removeDisabled: 'check' | 'fips-host' | undefined
}

/** What decides about the commands of a TPM, besides the TPM. */
export interface ScriptConfig {
  /** Rules, in the order in which they were given. */
  readonly faults: readonly string[]
  /** What the TPM is from the start: `lockout`, `buffers=2048`. */
  readonly modes?: readonly string[]
  /** Of what goes by chance. */
  readonly faultSeed: number | undefined
  /** A module of the user that decides about commands. */
  readonly module?: { readonly path: string } | undefined
  /** Where other programs may say what goes wrong. */
  readonly socket: UnixEndpoint | undefined
  /** What answers in place of libtpms. */
  readonly behind?: BehindConfig | undefined
}

/** What every interface has. */
export interface CommonConfig {
  readonly tpmVersion: TpmVersion
  readonly fileKey: KeySource | undefined
  readonly migrationKey: KeySource | undefined
  /** Obey SetLocality on the data channel. */
  readonly allowSetLocality: boolean
  readonly flags: {
    /** Wait for an INIT before taking TPM commands. */
    readonly needInit: boolean
    readonly startup: StartupChoice
  }
  readonly migration: { readonly incoming: boolean; readonly releaseLockOutgoing: boolean }
  readonly seccomp: SeccompAction
  readonly log: LogConfig
  readonly pid: PidFileTarget | undefined
  /** Where to write that clients can use the TPM. */
  readonly readyFd: InheritedDescriptor | undefined
  /** A user's name or number. */
  readonly runAs: string | undefined
  readonly chroot: string | undefined
  readonly profile: ProfileConfig | undefined
  readonly pcap: PcapConfig | undefined
  /** The TPM does the same in every run; undefined: it does not, as it should. */
  readonly seedInsecure: number | undefined
  /** Commands and responses in words. */
  readonly trace: TraceConfig | undefined
  readonly record: RecordConfig | undefined
  /** Clients share it, each with objects and sessions of its own. */
  readonly resourceManager: boolean
  /** What a script does to its commands; undefined: there is none. */
  readonly script: ScriptConfig | undefined
  /** Where to mount what /sys/class/tpm/tpmN would show of it. */
  readonly sysfs: string | undefined
  /** Go to the background once ready; on cuse unless `--foreground`. */
  readonly daemonize: boolean
}

/** Engine options that the supervisor works out itself. */
type OfTheSupervisor =
  | 'tpmVersion'
  | 'backend'
  | 'allowSetLocality'
  | 'seccomp'
  | 'trace'
  | 'logLevel'
  | 'seedInsecure'
  | 'resourceManager'
  | 'logPrefix'

/** Engine options that the user gives as sub-options and that only the engine needs to understand. */
export type EngineSettings = Omit<EngineOptionValues, OfTheSupervisor>

/** A TPM that has a state. */
export interface StoredTpm {
  readonly state: StateLocation
  readonly engine: EngineSettings
}

/** What a TPM that is to be served has besides. */
interface RunConfig extends CommonConfig, StoredTpm {
  readonly action: 'run'
}

export interface SocketConfig extends RunConfig {
  readonly interface: 'socket'
  /** Absent: the control channel brings a data connection (SET_DATAFD). */
  readonly server: DataEndpoint | undefined
  readonly control: ControlEndpoint | undefined
  /** End the TPM when the data connection is lost. */
  readonly terminate: boolean
}

export interface ChardevConfig extends RunConfig {
  readonly interface: 'chardev'
  readonly device:
    | { readonly kind: 'path'; readonly path: string }
    | { readonly kind: 'fd'; readonly fd: number }
    | { readonly kind: 'vtpm-proxy' }
  readonly control: ControlEndpoint | undefined
}

export interface CuseConfig extends RunConfig {
  readonly interface: 'cuse'
  /** The device is /dev/NAME. */
  readonly name: string
  /** 0: the kernel chooses. */
  readonly major: number
  readonly minor: number
  readonly foreground: boolean
  readonly ioctlUsers: IoctlUsers
}

/** Who may control the TPM by ioctls on its device. */
export const IOCTL_USERS = ['all', 'owner', 'root'] as const
export type IoctlUsers = (typeof IOCTL_USERS)[number]

/** Serve a TPM. */
export type SwtpmConfig = SocketConfig | ChardevConfig | CuseConfig

/** Print something and exit; the interface's own options need not be complete. */
export type PrintRequest = CommonConfig & { readonly interface: Interface } & (
    | {
        readonly action:
          | 'help'
          | 'version'
          | 'fault-help'
          | 'mode-help'
          | 'print-capabilities'
          | 'print-profiles'
      }
    | ({ readonly action: 'print-states' } & StoredTpm)
    | {
        readonly action: 'print-info'
        readonly infoFlags: number
        /** Given: the state is loaded first, and more can be said. */
        readonly stored: StoredTpm | undefined
      }
  )

/** What the words after `swtpm` ask for; `action` tells which. */
export type CommandLine = SwtpmConfig | PrintRequest
