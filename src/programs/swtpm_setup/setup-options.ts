/** The option table of swtpm_setup. */
import type { GivenOptions } from '../common/options/given-options.ts'
import type { OptionTable } from '../common/options/option-table.ts'
import { COMMON_OPTIONS } from '../common/tool-main.ts'
import { KEY_ALGORITHM_CHOICES } from '../common/tpm-keys/key-algorithms.ts'

const STATE = 'TPM and its state'
const KEYS = 'Keys and certificates'
const TPM12 = 'TPM 1.2 only'
const TPM2 = 'TPM 2 only'
const ENCRYPTION = 'Encryption of the state'
const OUTPUT = 'Output'
const OTHER = 'Instead of a setup'

const KEYALGO_HELP = `one of ${KEY_ALGORITHM_CHOICES.join(', ')}`

export const SETUP_OPTIONS = {
  'tpm-state': {
    group: STATE,
    alias: 'tpmstate',
    value: 'DIR|URI',
    describe: 'Where the state goes: a directory, dir://DIR, or file://FILE for one file; required',
  },
  tpm2: { group: STATE, describe: 'Set up a TPM 2; the default is TPM 1.2' },
  tpm: { group: STATE, value: 'COMMAND', describe: 'How to call the TPM, like "/usr/bin/swtpm socket"' },
  overwrite: {
    group: STATE,
    describe: 'Replace a TPM that exists, of either version; without it that is an error',
  },
  'not-overwrite': { group: STATE, describe: 'Leave state that exists alone and end without an error' },
  reconfigure: { group: STATE, describe: 'Change the PCR banks of an existing TPM 2 and nothing else' },
  config: {
    group: STATE,
    value: 'FILE',
    describe:
      'The configuration; default is swtpm_setup.conf in $XDG_CONFIG_HOME (~/.config), else in /etc; none is needed',
  },
  runas: { group: STATE, value: 'USER', describe: 'Run as this user; only root can' },

  createek: { group: KEYS, describe: 'Create the endorsement keys; a TPM 2 gets two, RSA and ECC' },
  'create-ek-cert': { group: KEYS, describe: 'Create EK certificates; implies --createek' },
  'create-platform-cert': { group: KEYS, describe: 'Create a platform certificate; implies --createek' },
  'lock-nvram': { group: KEYS, describe: 'Lock the NVRAM that was written' },
  vmid: {
    group: KEYS,
    value: 'ID',
    describe: 'The common name in the certificates, say of a virtual machine',
  },
  'write-ek-cert-files': {
    group: KEYS,
    value: 'DIR',
    describe:
      'Also write the EK certificates to DIR/ek-*.crt. For a TPM that exists, also one that runs, write what it has: ek-*, iak-*, idevid-* and platform.crt, public keys as *.pub',
  },

  'allow-signing': { group: TPM2, describe: 'Create EKs that can sign; careful: these are no standard EKs' },
  decryption: { group: TPM2, describe: 'Create EKs that can decipher keys; default unless --allow-signing' },
  'create-spk': { group: TPM2, describe: 'Create the storage primary key' },
  ecc: { group: TPM2, describe: 'Make the storage primary key an ECC key' },
  'pcr-banks': {
    group: TPM2,
    value: 'BANKS',
    suggestions: ['sha1', 'sha256', 'sha384', 'sha512', '-'],
    describe:
      'The PCR banks to activate, like sha1,sha256; - keeps all. Default: active_pcr_banks, else sha256',
  },
  'rsa-keysize': {
    group: TPM2,
    alias: 'rsa-keysizes',
    value: 'BITS',
    suggestions: ['2048', '3072', '4096', 'max'],
    describe: 'The size of the RSA EK: 2048 (default), 3072, 4096 or max, as far as the TPM goes',
  },
  ek1keyalgo: {
    group: TPM2,
    value: 'ALGORITHM',
    suggestions: KEY_ALGORITHM_CHOICES,
    describe: `The first EK: ${KEYALGO_HELP}; default rsa2048`,
  },
  ek2keyalgo: {
    group: TPM2,
    value: 'ALGORITHM',
    suggestions: KEY_ALGORITHM_CHOICES,
    describe: 'The second EK; default secp384r1',
  },
  iakkeyalgo: {
    group: TPM2,
    value: 'ALGORITHM',
    suggestions: KEY_ALGORITHM_CHOICES,
    describe: 'Also create an attestation key (IAK)',
  },
  idevidkeyalgo: {
    group: TPM2,
    value: 'ALGORITHM',
    suggestions: KEY_ALGORITHM_CHOICES,
    describe: 'Also create a device identity key (IDevID)',
  },
  'no-iak': { group: TPM2, describe: 'Create no IAK and IDevID, whatever the configuration says' },
  profile: { group: TPM2, value: 'JSON', describe: 'The TPM\'s profile, like {"Name":"default-v1"}' },
  'profile-name': {
    group: TPM2,
    value: 'NAME',
    describe: 'A profile by name; local:, distro: or builtin: says where',
  },
  'profile-file': { group: TPM2, value: 'FILE', describe: 'A file with the profile' },
  'profile-file-fd': { group: TPM2, value: 'FD', describe: 'A file descriptor to read the profile from' },
  'profile-remove-disabled': {
    group: TPM2,
    value: 'check|fips-host',
    choices: ['check', 'fips-host'],
    describe: "Drop what the host's OpenSSL disables from a custom profile",
  },

  'take-ownership': { group: TPM12, describe: 'Take ownership; implies --createek' },
  ownerpass: { group: TPM12, value: 'PASSWORD', describe: 'The owner password; default ooo' },
  'owner-well-known': { group: TPM12, describe: 'Use 20 zero bytes as the owner password' },
  srkpass: { group: TPM12, value: 'PASSWORD', describe: 'The SRK password; default sss' },
  'srk-well-known': { group: TPM12, describe: 'Use 20 zero bytes as the SRK password' },

  keyfile: { group: ENCRYPTION, value: 'FILE', describe: 'File with the key in hex digits' },
  'keyfile-fd': { group: ENCRYPTION, value: 'FD', describe: 'File descriptor to read the key from' },
  pwdfile: { group: ENCRYPTION, value: 'FILE', describe: 'File with the passphrase to derive the key from' },
  'pwdfile-fd': { group: ENCRYPTION, value: 'FD', describe: 'File descriptor to read the passphrase from' },
  cipher: {
    group: ENCRYPTION,
    value: 'CIPHER',
    suggestions: ['aes-128-cbc', 'aes-cbc', 'aes-256-cbc'],
    describe: 'aes-128-cbc (default), aes-cbc or aes-256-cbc; swtpm needs the same later',
  },

  logfile: {
    group: OUTPUT,
    value: 'FILE',
    describe: 'Append messages to this file instead of printing them',
  },
  quiet: { group: OUTPUT, describe: 'Print errors only; a log file has everything as ever' },
  display: { group: OUTPUT, describe: 'Tell at the end what the TPM holds' },

  'print-capabilities': { group: OTHER, describe: 'Print what this tool and the TPM can do, as JSON' },
  'print-profiles': { group: OTHER, describe: 'Print the profiles that can be chosen, as JSON; with --tpm2' },
  'create-config-files': {
    group: OTHER,
    value: 'overwrite,root,skip-if-exist',
    suggestions: ['overwrite', 'root', 'skip-if-exist'],
    valueOptional: true,
    describe:
      'Write configuration files for this user; overwrite files that exist, allow root, or leave all as is',
  },

  swtpm_ioctl: { group: OTHER, value: 'FILE', describe: 'Without effect', hidden: true },
  'tcsd-system-ps-file': { group: OTHER, value: 'FILE', describe: 'Without effect', hidden: true },
  ...COMMON_OPTIONS,
} as const satisfies OptionTable

export type SetupOptions = GivenOptions<typeof SETUP_OPTIONS>
export type OptionName = keyof typeof SETUP_OPTIONS
