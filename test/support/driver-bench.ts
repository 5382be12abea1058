/** A TPM of the library with a device of the kernel, which many tests share: making another one takes a second and more. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { release } from 'node:os'
import { createTpm, type Device, type DeviceFile, type Tpm, vtpmProxy } from '../../src/library/index.ts'
import { recordsAfter } from '../../src/programs/swtpm/ktest/suite/guest-log.ts'

/** Where two kernels differ: what this one does. Others are taken for the newer of the two. */
export const onKernel = <T>(kernels: { readonly '6.1': T; readonly '6.12': T }): T =>
  release().startsWith('6.1.') ? kernels['6.1'] : kernels['6.12']

/** TPM2_GetRandom of 8 bytes, which the kernel's own random number generator never asks for. */
export const GET_RANDOM = '80010000000c0000017b0008'

/** What the kernel has logged of TPMs since this was made. */
export class LogMark {
  readonly #sequence = recordsAfter(-1).at(-1)?.sequence ?? -1

  lines(): string[] {
    return recordsAfter(this.#sequence)
      .filter(({ isKernel, text }) => isKernel && /tpm/i.test(text))
      .map(({ text }) => text)
  }

  has(line: RegExp): void {
    assert.ok(
      this.lines().some((text) => line.test(text)),
      `${line} in ${JSON.stringify(this.lines())}`,
    )
  }
}

/** The number of a device: 3 of /dev/tpm3. */
export const numberOf = ({ path }: Device): string => path.slice('/dev/tpm'.length)

/** The PCR banks that the kernel shows of a device: `pcr-sha256`. */
export const banksOf = (device: Device): string[] =>
  readdirSync(`/sys/class/tpm/tpm${numberOf(device)}`)
    .filter((name) => name.startsWith('pcr-'))
    .sort()

export async function startBench(): Promise<{ tpm: Tpm; device: Device }> {
  const tpm = await createTpm()
  return { tpm, device: await tpm.expose(vtpmProxy()) }
}

/** The name of the error with which a command fails. */
export async function errorOf(client: DeviceFile | Device, command: string | Buffer): Promise<unknown> {
  try {
    const { text } = await client.exchange(command)
    return `answered ${text}`
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}
