/** Which files there are, as in /sys/class/tpm/tpmN, and what is in them. */
import type { TpmVersion } from '../../contract/engine-options.ts'
import { PCR_COUNT } from '../tpm-commands/tpm2-pcrs.ts'
import { type Ask, ReadError } from './ask.ts'
import { allocatedBanks, type Bank, isBankName, pcrText, pcrTextSize } from './pcr-banks.ts'
import { TPM12_ATTRIBUTES } from './tpm12-attributes.ts'

export type Entry =
  | { readonly kind: 'directory'; readonly names: () => Promise<readonly string[]> }
  | File
  | { readonly kind: 'link'; readonly target: string }

interface File {
  readonly kind: 'file'
  /**
   * Of the text. Not 4096, as in sysfs: the kernel keeps what it has read while another reader is at the file, and would fill it up
   * to its size for that one.
   */
  readonly size: () => Promise<number>
  /** @throws ReadError */
  readonly text: () => Promise<string>
}

/** The TPM whose files they are. */
export interface Shown {
  readonly version: TpmVersion
  readonly ask: Ask
  /** How often it has been powered on. Banks are allocated at power-on, and stay until the next one. */
  readonly powerOns: () => number
}

/** What every file in sysfs says that its size is. */
const PAGE_BYTES = 4096
const VERSION_FILE = 'tpm_version_major'
const DEVICE = 'device'
const DESCRIPTION = 'description'
const PCR_FOLDER = /^pcr-([a-z0-9]+)$/
const INDICES = Array.from({ length: PCR_COUNT }, (_, index) => String(index))

const fixed = (text: string): Entry => ({
  kind: 'file',
  size: async () => text.length,
  text: async () => text,
})
const attribute = (text: () => Promise<string>): Entry => ({
  kind: 'file',
  // What cannot be read now is there all the same.
  size: () =>
    text().then(
      ({ length }) => length,
      () => PAGE_BYTES,
    ),
  text,
})
const directory = (...names: readonly string[]): Entry => ({ kind: 'directory', names: async () => names })

export class Tree {
  readonly #tpm: Shown
  /** In front of those that only a TPM 1.2 has. */
  readonly #attributes: readonly string[]
  #banks: readonly Bank[] | undefined
  /** When {@link #banks} were asked for. */
  #banksOf = 0

  constructor(tpm: Shown) {
    this.#tpm = tpm
    this.#attributes = tpm.version === '1.2' ? [...TPM12_ATTRIBUTES.keys()] : []
  }

  /** @param path as FUSE gives it: absolute, without dots @returns undefined where there is nothing */
  async find(path: string): Promise<Entry | undefined> {
    const [first = '', second, ...more] = path.split('/').slice(1)
    if (more.length > 0) return undefined
    if (second === undefined) return this.#inRoot(first)
    if (first === DEVICE) return this.#inDevice(second)
    const bank = await this.#bank(first)
    const index = INDICES.indexOf(second)
    if (bank === undefined || index < 0) return undefined
    const { version, ask } = this.#tpm
    return {
      kind: 'file',
      size: async () => pcrTextSize(bank),
      text: () => pcrText(version, ask, bank, index),
    }
  }

  async #inRoot(name: string): Promise<Entry | undefined> {
    const { version, ask } = this.#tpm
    switch (name) {
      case '':
        return { kind: 'directory', names: () => this.#rootNames() }
      case VERSION_FILE:
        return fixed(version === '2' ? '2\n' : '1\n')
      case DEVICE:
        return directory(DESCRIPTION, ...this.#attributes)
    }
    const text = version === '1.2' ? TPM12_ATTRIBUTES.get(name) : undefined
    if (text !== undefined) return attribute(() => text(ask))
    return (await this.#bank(name)) === undefined ? undefined : directory(...INDICES)
  }

  async #rootNames(): Promise<readonly string[]> {
    const folders = ((await this.#knownBanks()) ?? []).map(({ name }) => `pcr-${name}`)
    return [VERSION_FILE, ...this.#attributes, ...folders, DEVICE]
  }

  /** As of a TPM that a computer's firmware tells Linux of; for a TPM 1.2 with the files where they were before Linux 4. */
  #inDevice(name: string): Entry | undefined {
    if (name === DESCRIPTION) return fixed(`TPM ${this.#tpm.version === '2' ? '2.0' : '1.2'} Device\n`)
    return this.#attributes.includes(name) ? { kind: 'link', target: `../${name}` } : undefined
  }

  /** @throws ReadError EIO: the TPM has not told yet whether it has that bank */
  async #bank(folder: string): Promise<Bank | undefined> {
    const wanted = PCR_FOLDER.exec(folder)?.[1]
    if (wanted === undefined || !isBankName(wanted)) return undefined
    const banks = await this.#knownBanks()
    if (banks === undefined) throw new ReadError('EIO')
    return banks.find(({ name }) => name === wanted)
  }

  /** Those of the last power-on of which the TPM has told; undefined before it has told of any. */
  async #knownBanks(): Promise<readonly Bank[] | undefined> {
    const powerOns = this.#tpm.powerOns()
    if (this.#banksOf === powerOns) return this.#banks
    const banks = await allocatedBanks(this.#tpm.version, this.#tpm.ask).catch(() => undefined)
    if (banks !== undefined) {
      this.#banks = banks
      this.#banksOf = powerOns
    }
    return this.#banks
  }
}
