/**
 * The faults that the programs report themselves, as exceptions: a code that callers test, and a message for the user
 * (CONTRIBUTING.md, "Messages"). The results of TPMs and verbs are values (contract/tpm-result.ts).
 */

const CODES = {
  SWTPM_ERR_INSTALLATION: 'a file of the installation is missing or cannot be used',
  SWTPM_ERR_ENGINE_START: 'the engine could not be started',
  SWTPM_ERR_ENGINE_GONE: 'the engine has ended, its TPM with it',
  SWTPM_ERR_STATE_DIR: 'the state location cannot be used',
  SWTPM_ERR_STATE_KEY: 'a key or passphrase cannot be used',
  SWTPM_ERR_PROFILE: 'a profile cannot be used',
  SWTPM_ERR_READY_FD: 'the descriptor for the report of readiness cannot be used',
  SWTPM_ERR_PID_FILE: 'the pid file cannot be written',
  SWTPM_ERR_STATE_LOCKED: 'another process holds the state',
  SWTPM_ERR_DEVICE: 'a device node could not be opened or made',
  SWTPM_ERR_DEVICE_EXISTS: 'the name of the device is taken',
  SWTPM_ERR_SOCKET: 'a socket could not be opened, bound or connected',
  SWTPM_ERR_TPM_INIT: 'libtpms refused to start the TPM',
  SWTPM_ERR_PRIVILEGE: 'a change of user, root directory or privilege failed',
  SWTPM_ERR_SECCOMP: 'the system calls could not be restricted',
  SWTPM_ERR_ENDED: 'it was told to end while it started',
  SWTPM_ERR_USER: 'there is no such user or group',
  SWTPM_ERR_LOG: 'the log cannot be written',
  SWTPM_ERR_OTHER_TPM: 'a TPM that is not libtpms cannot be used',
  SWTPM_ERR_RECORDING: 'a recording cannot be read or written',
  SWTPM_ERR_SCRIPT: 'a rule or a script is wrong',
  SWTPM_ERR_NO_RESPONSE: 'a script has lost the response to a command',
  SWTPM_ERR_SYSFS: 'the view of the TPM like sysfs cannot be mounted',
  SWTPM_ERR_FLEET: 'the fleet has no such TPM, or has it already, or cannot have it',
} as const

export type SwtpmErrorCode = keyof typeof CODES

/** A failure whose message is a sentence for the user. */
export abstract class Fault extends Error {}

export class SwtpmError extends Fault {
  readonly code: SwtpmErrorCode

  constructor(code: SwtpmErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SwtpmError'
    this.code = code
  }
}
