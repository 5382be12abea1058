/** The parts of help and manual page that are not a list of options. */
import type { Interface } from '../../../serve/config.ts'

export interface Example {
  readonly command: string
  readonly meaning: string
}

export interface Topics {
  readonly summary: string
  readonly examples: readonly Example[]
  /** Name and meaning. */
  readonly environment: readonly (readonly [name: string, meaning: string])[]
  readonly exitCodes: readonly (readonly [code: string, meaning: string])[]
  readonly seeAlso: string
}

const tpmPath = ['TPM_PATH', 'Directory of the state files, when there is no --tpmstate.'] as const
const logFormat = ['SWTPM_LOG_FORMAT', 'text or json: how log lines look, when --log does not say.'] as const
const success = ['0', 'The TPM ended as it was told to, or what was asked for has been printed.'] as const
const failure = ['1', 'The command line is wrong, or the TPM could not start or go on.'] as const

export const topics: { readonly [I in Interface]: Topics } = {
  socket: {
    summary: 'A TPM that takes commands on a TCP or Unix socket.',
    examples: [
      {
        command:
          'swtpm socket --tpm2 --tpmstate dir=/tmp/tpm --ctrl type=unixio,path=/tmp/tpm/ctrl --terminate',
        meaning: 'A TPM 2.0 for QEMU, which passes the data connection in over the control channel',
      },
      {
        command:
          'swtpm socket --tpm2 --tpmstate dir=/tmp/tpm --server type=tcp,port=2321 --ctrl type=tcp,port=2322 --flags startup-clear',
        meaning: 'A TPM 2.0 for TSS libraries (TCTI swtpm:port=2321)',
      },
    ],
    environment: [
      ['TPM_PORT', 'TCP port for TPM commands, when neither --port nor --server gives one.'],
      tpmPath,
      logFormat,
    ],
    exitCodes: [success, failure],
    seeAlso: 'swtpm(8), swtpm_ioctl(8), swtpm_setup(8), swtpm chardev --help, swtpm cuse --help',
  },
  chardev: {
    summary:
      'A TPM behind a character device: a /dev/tpmN that the Linux kernel makes, or a device that exists.',
    examples: [
      {
        command: 'swtpm chardev --vtpm-proxy --tpm2 --tpmstate dir=/var/lib/tpm',
        meaning: 'A new /dev/tpmN and /dev/tpmrmN; prints their number first (root, module tpm_vtpm_proxy)',
      },
      {
        command:
          'swtpm chardev --fd 3 --tpm2 --tpmstate dir=/var/lib/tpm --flags not-need-init --locality allow-set-locality',
        meaning: 'Serve a vTPM proxy device that another program has made',
      },
    ],
    environment: [tpmPath, logFormat],
    exitCodes: [success, failure],
    seeAlso: 'swtpm(8), swtpm_ioctl(8), swtpm socket --help, swtpm cuse --help',
  },
  cuse: {
    summary: 'A TPM as a character device in user space: /dev/NAME, controlled by ioctls.',
    examples: [
      {
        command: 'swtpm cuse --name vtpm0 --tpm2 --tpmstate dir=/var/lib/tpm',
        meaning: 'A new /dev/vtpm0 (root, module cuse); runs in the background',
      },
      {
        command: 'swtpm_ioctl --tpm-device /dev/vtpm0 -i',
        meaning: 'Then power the TPM on',
      },
    ],
    environment: [tpmPath, logFormat],
    exitCodes: [
      success,
      ['1', 'An option is unknown, or the log or the device could not be set up.'],
      ['255', 'A value is wrong, no state directory is given, or the device exists already.'],
      ['254', '--name is missing.'],
      ['253', 'A sub-option is wrong, or a key cannot be used.'],
      ['252', 'swtpm does not run as root.'],
      ['251', 'The user of --runas does not exist.'],
      ['243', 'The pid file could not be written.'],
      ['242', 'The seccomp profile could not be installed.'],
    ],
    seeAlso: 'swtpm(8), swtpm_cuse(8), swtpm_ioctl(8), swtpm socket --help, swtpm chardev --help',
  },
}
