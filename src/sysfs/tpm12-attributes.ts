/**
 * The files of a TPM 1.2, each as Linux writes it. Where the TPM refuses what is asked, such as the public endorsement key when
 * there is an owner, the file is empty.
 * @see drivers/char/tpm/tpm-sysfs.c and tpm1_get_timeouts() of Linux; its Documentation/ABI/stable/sysfs-class-tpm
 */

import {
  getPermanentFlags,
  getProperty,
  getStructureVersion,
  getVersionInfo,
  getVolatileFlags,
  isTemporarilyDeactivated,
  type Property,
  pcrRead12,
  pcrValue12,
  permanentFlags,
  propertyBoolean,
  propertyNumber,
  propertyNumbers,
  structureVersion,
  versionInfo,
} from '../tpm-commands/tpm12-capabilities.ts'
import { endorsementKeyArea, readPubek } from '../tpm-commands/tpm12-commands.ts'
import type { Ask } from './ask.ts'

const REFUSED = ''

const digit = (yes: boolean): string => (yes ? '1\n' : '0\n')
/** Bytes as printk's %ph has them. */
const lower = (bytes: Buffer): string => [...bytes].map((byte) => hex(byte)).join(' ')
const hex = (byte: number): string => byte.toString(16).padStart(2, '0')

async function answer(ask: Ask, command: Buffer, text: (response: Buffer) => string): Promise<string> {
  const response = await ask(command)
  return response === undefined ? REFUSED : text(response)
}

async function caps(ask: Ask): Promise<string> {
  const manufacturer = await ask(getProperty('manufacturer'))
  if (manufacturer === undefined) return REFUSED
  const info = await ask(getVersionInfo())
  const structure = info === undefined ? await ask(getStructureVersion()) : undefined
  const versions = info !== undefined ? versionInfo(info) : structure && structureVersion(structure)
  if (versions === undefined) return REFUSED
  return (
    `Manufacturer: 0x${propertyNumber(manufacturer).toString(16)}\n` +
    `TCG version: ${versions.specification.join('.')}\n` +
    `Firmware version: ${versions.firmware.join('.')}\n`
  )
}

async function pcrs(ask: Ask): Promise<string> {
  const count = await ask(getProperty('pcrs'))
  if (count === undefined) return REFUSED
  let text = ''
  for (let index = 0; index < propertyNumber(count); index++) {
    const response = await ask(pcrRead12(index))
    if (response === undefined) return REFUSED
    const bytes = lower(pcrValue12(response)).toUpperCase()
    text += `PCR-${String(index).padStart(2, '0')}: ${bytes} \n`
  }
  return text
}

/** Linux asks for it with a nonce of zeros; what is signed by the nonce is not in the file. */
const pubek = (ask: Ask): Promise<string> =>
  answer(ask, readPubek(), (response) => {
    const { algorithm, encryption, signature, parameters, modulus } = endorsementKeyArea(response)
    const lines = Array.from({ length: Math.ceil(modulus.length / 16) }, (_, i) =>
      lower(modulus.subarray(16 * i, 16 * (i + 1))),
    )
    return [
      `Algorithm: ${lower(algorithm)}`,
      `Encscheme: ${lower(encryption)}`,
      `Sigscheme: ${lower(signature)}`,
      `Parameters: ${lower(parameters)}`,
      `Modulus length: ${modulus.length}`,
      'Modulus:',
      ...lines,
      '',
    ].join('\n')
  })

/** In microseconds; Linux counts those that a TPM tells in milliseconds as such. */
const MS_BELOW = 1000
const US_OF_MS = 1000
/** Of Linux: a TPM whose short commands take less has told milliseconds. */
const SHORTEST_US = 10_000
const SHORT_US = 1_000_000

const withNote = (numbers: readonly number[], adjusted: boolean): string =>
  `${numbers.join(' ')} [${adjusted ? 'adjusted' : 'original'}]\n`

const numbersOf = (ask: Ask, property: Property, count: number, text: (numbers: number[]) => string) =>
  answer(ask, getProperty(property), (response) => text(propertyNumbers(response, count)))

const timeouts = (ask: Ask): Promise<string> =>
  numbersOf(ask, 'tisTimeouts', 4, (told) => {
    const inMs = told[0] !== 0 && (told[0] ?? 0) < MS_BELOW
    return withNote(inMs ? told.map((ms) => ms * US_OF_MS) : told, inMs)
  })

const durations = (ask: Ask): Promise<string> =>
  numbersOf(ask, 'durations', 3, (told) => {
    const [short = 0, medium = 0, long = 0] = told
    if (long === 0) return REFUSED
    return short < SHORTEST_US
      ? withNote([SHORT_US, medium * US_OF_MS, long * US_OF_MS], true)
      : withNote(told, false)
  })

/** By the names of the files. */
export const TPM12_ATTRIBUTES: ReadonlyMap<string, (ask: Ask) => Promise<string>> = new Map([
  ['active', (ask: Ask) => answer(ask, getPermanentFlags(), (r) => digit(!permanentFlags(r).deactivated))],
  ['caps', caps],
  ['durations', durations],
  ['enabled', (ask: Ask) => answer(ask, getPermanentFlags(), (r) => digit(!permanentFlags(r).disabled))],
  ['owned', (ask: Ask) => answer(ask, getProperty('owner'), (r) => digit(propertyBoolean(r)))],
  ['pcrs', pcrs],
  ['pubek', pubek],
  [
    'temp_deactivated',
    (ask: Ask) => answer(ask, getVolatileFlags(), (r) => digit(isTemporarilyDeactivated(r))),
  ],
  ['timeouts', timeouts],
])
