/** The option table of swtpm_localca, the program that swtpm_setup calls for certificates. */
import type { OptionTable } from '../common/options/option-table.ts'
import { COMMON_OPTIONS } from '../common/tool-main.ts'
import { CERTIFICATE_TYPES } from '../swtpm_cert/cert-options.ts'

const CERT = 'Certificate'
const FILES = 'Files'
const TPM = 'TPM'

export const LOCALCA_OPTIONS = {
  type: {
    group: CERT,
    value: 'TYPE',
    suggestions: CERTIFICATE_TYPES,
    describe: 'The kind of certificate: ek, platform, iak or idevid',
  },
  ek: {
    group: CERT,
    alias: 'key',
    value: 'KEY',
    describe: 'The public key: the modulus of an RSA key in hex, or x=HEX,y=HEX,id=CURVE of an ECC key',
  },
  dir: {
    group: CERT,
    value: 'DIR',
    describe: 'Where TYPE.cert is written; default is the current directory',
  },
  vmid: {
    group: CERT,
    value: 'ID',
    describe: 'The ID of the virtual machine, the common name in the certificate',
  },

  configfile: {
    group: FILES,
    value: 'FILE',
    describe: 'Where the CA keeps its keys, certificates and state',
  },
  optsfile: { group: FILES, value: 'FILE', describe: 'Options for swtpm_cert, as on its command line' },
  logfile: { group: FILES, value: 'FILE', describe: 'Append messages to this file instead of printing them' },

  tpm2: { group: TPM, describe: 'The TPM is a TPM 2; the default is TPM 1.2' },
  'allow-signing': { group: TPM, describe: 'The EK of the TPM 2 may sign' },
  decryption: {
    group: TPM,
    describe: 'The EK of the TPM 2 may decipher keys; default unless --allow-signing',
  },
  'tpm-spec-family': { group: TPM, value: 'FAMILY', describe: 'The TPM specification, like 2.0' },
  'tpm-spec-level': { group: TPM, value: 'NUMBER', describe: 'Its level' },
  'tpm-spec-revision': { group: TPM, value: 'NUMBER', describe: 'Its revision' },
  'tpm-manufacturer': {
    group: TPM,
    value: 'NAME',
    describe: 'The manufacturer of the TPM, like id:00001014',
  },
  'tpm-model': { group: TPM, value: 'MODEL', describe: 'The model of the TPM' },
  'tpm-version': { group: TPM, value: 'VERSION', describe: 'The firmware version of the TPM' },
  'tpm-serial-num': { group: TPM, value: 'SERIAL', describe: "The TPM's serial number, for iak and idevid" },
  ...COMMON_OPTIONS,
} as const satisfies OptionTable
