/**
 * Where a TPM 2 keeps the keys and certificates that it leaves its factory with: persistent handles and NV indices.
 * @see TCG EK Credential Profile; TPM 2.0 Keys for Device Identity and Attestation
 */
import type { KeyAlgorithm } from './key-algorithms.ts'

export interface EkPlace {
  readonly handle: number
  readonly certIndex: number
  readonly templateIndex: number
}

const EK_PLACES: Readonly<Record<KeyAlgorithm, EkPlace>> = {
  rsa2048: { handle: 0x81010001, certIndex: 0x01c00002, templateIndex: 0x01c00004 },
  rsa3072: { handle: 0x8101001c, certIndex: 0x01c0001c, templateIndex: 0x01c0001d },
  rsa4096: { handle: 0x8101001e, certIndex: 0x01c0001e, templateIndex: 0x01c0001f },
  secp256r1: { handle: 0x8101000a, certIndex: 0x01c0000a, templateIndex: 0x01c0000b },
  secp384r1: { handle: 0x81010016, certIndex: 0x01c00016, templateIndex: 0x01c00017 },
  secp521r1: { handle: 0x81010018, certIndex: 0x01c00018, templateIndex: 0x01c00019 },
}

export const ekPlace = (algorithm: KeyAlgorithm): EkPlace => EK_PLACES[algorithm]

export const SPK_HANDLE = 0x81000001
export const IDEVID_HANDLE = 0x81020000
export const IAK_HANDLE = 0x81020001
export const PLATFORM_CERT_INDEX = 0x01c08000
export const IAK_CERT_INDEX = 0x01c90100
export const IDEVID_CERT_INDEX = 0x01c90200

/** What a TPM 2.0 usually has at a persistent handle or NV index; undefined where that is its user's. */
export function usualContent(place: number): string | undefined {
  for (const [algorithm, { handle, certIndex, templateIndex }] of Object.entries(EK_PLACES)) {
    if (place === handle) return `EK, ${algorithm}`
    if (place === certIndex) return `certificate of the EK, ${algorithm}`
    if (place === templateIndex) return `template of the EK, ${algorithm}`
  }
  return OTHER_CONTENT.get(place)
}

const OTHER_CONTENT: ReadonlyMap<number, string> = new Map([
  [SPK_HANDLE, 'SRK'],
  [IDEVID_HANDLE, 'IDevID key'],
  [IAK_HANDLE, 'IAK'],
  [PLATFORM_CERT_INDEX, 'platform certificate'],
  [IAK_CERT_INDEX, 'certificate of the IAK'],
  [IDEVID_CERT_INDEX, 'certificate of the IDevID key'],
])
