/** The option table of swtpm_cert; swtpm_localca's options file is read by it too. */
import type { OptionTable } from '../common/options/option-table.ts'
import { COMMON_OPTIONS } from '../common/tool-main.ts'

export const CERTIFICATE_TYPES = ['ek', 'platform', 'iak', 'idevid'] as const
export type CertificateType = (typeof CERTIFICATE_TYPES)[number]

const KEY = 'Key to certify'
const CA = 'Certificate authority'
const CERT = 'Certificate'
const TPM = 'TPM and platform'

export const CERT_OPTIONS = {
  pubkey: { group: KEY, value: 'FILE', describe: 'PEM file with the public key' },
  modulus: { group: KEY, value: 'HEX', describe: 'The modulus of an RSA key, instead of --pubkey' },
  exponent: { group: KEY, value: 'NUMBER', describe: 'The exponent of the RSA key; default 0x10001' },
  'ecc-x': { group: KEY, value: 'HEX', describe: 'The x coordinate of an ECC key, instead of --pubkey' },
  'ecc-y': { group: KEY, value: 'HEX', describe: 'The y coordinate of an ECC key' },
  'ecc-curveid': {
    group: KEY,
    value: 'CURVE',
    suggestions: ['secp256r1', 'secp384r1', 'secp521r1'],
    describe: 'The curve of the ECC key: secp256r1 (default), secp384r1 or secp521r1',
  },

  signkey: { group: CA, value: 'FILE', describe: "PEM file with the CA's private key" },
  'signkey-password': { group: CA, value: 'PASSWORD', describe: 'Its password; others can see it with ps' },
  'signkey-pwd': {
    group: CA,
    value: 'PASSWORD',
    describe: 'Its password as file:FILE, fd:NUMBER, env:NAME, pass:PASSWORD or PASSWORD',
  },
  issuercert: { group: CA, value: 'FILE', describe: "PEM file with the CA's certificate" },
  'parentkey-password': { group: CA, value: 'PASSWORD', describe: 'Without effect', hidden: true },
  'parentkey-pwd': { group: CA, value: 'PASSWORD', describe: 'Without effect', hidden: true },

  type: {
    group: CERT,
    value: 'TYPE',
    suggestions: CERTIFICATE_TYPES,
    describe: 'The kind of certificate: ek (default), platform, iak or idevid',
  },
  'out-cert': { group: CERT, value: 'FILE', describe: 'Where the certificate goes; default is stdout' },
  pem: { group: CERT, describe: 'Write PEM; the default is DER' },
  'add-header': {
    group: CERT,
    describe: "Put the TCG's header for a certificate in TPM 1.2 NVRAM before it",
  },
  serial: { group: CERT, value: 'NUMBER', describe: 'The serial number, decimal, up to 20 bytes; default 1' },
  days: { group: CERT, value: 'NUMBER', describe: 'Days of validity, -1 for ever; default 365' },
  subject: {
    group: CERT,
    value: 'NAME',
    describe: 'The subject, like C=US,ST=NY,CN=vm; not used with TPM 1.2',
  },

  tpm2: { group: TPM, describe: 'The TPM is a TPM 2; the default is TPM 1.2' },
  'allow-signing': { group: TPM, describe: 'The EK of the TPM 2 may sign' },
  decryption: {
    group: TPM,
    describe: 'The EK of the TPM 2 may decipher keys; default unless --allow-signing',
  },
  'tpm-manufacturer': { group: TPM, value: 'NAME', describe: 'The manufacturer of the TPM' },
  'tpm-model': { group: TPM, value: 'MODEL', describe: 'The model of the TPM' },
  'tpm-version': { group: TPM, value: 'VERSION', describe: 'The firmware version of the TPM' },
  'tpm-spec-family': { group: TPM, value: 'FAMILY', describe: 'The TPM specification, like 2.0' },
  'tpm-spec-level': { group: TPM, value: 'NUMBER', describe: 'Its level' },
  'tpm-spec-revision': { group: TPM, value: 'NUMBER', describe: 'Its revision' },
  'tpm-serial-num': { group: TPM, value: 'SERIAL', describe: "The TPM's serial number, for iak and idevid" },
  'platform-manufacturer': { group: TPM, value: 'NAME', describe: 'The manufacturer of the platform' },
  'platform-model': { group: TPM, value: 'MODEL', describe: 'The model of the platform' },
  'platform-version': { group: TPM, value: 'VERSION', describe: 'The version of the platform' },

  'print-capabilities': { group: 'About', describe: 'Print what this tool can do, as JSON, and exit' },
  ...COMMON_OPTIONS,
} as const satisfies OptionTable

export const CERT_STYLE = { singleDash: true } as const
