/** Random numbers that the kernel takes of a TPM, by /dev/hwrng. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { expect, type GuestRow, needs, notOk, type SuiteGuest, type SuiteTpm, skipped } from '../row.ts'

const CURRENT_SOURCE = '/sys/class/misc/hw_random/rng_current'
const AVAILABLE_SOURCES = '/sys/class/misc/hw_random/rng_available'

/** Whether the kernel has sessions of its own with the TPM: CONFIG_TCG_TPM2_HMAC. */
export const hasSessions = ({ device }: SuiteTpm): boolean =>
  existsSync(`/sys/class/tpm/${basename(device)}/null_name`)

/** Has /dev/hwrng read from a TPM. @returns reads 8 bytes: 0 if they have come; undefined: the kernel has no such source */
export function randomSource(
  guest: SuiteGuest,
  { device }: SuiteTpm,
): (() => number | undefined) | undefined {
  const source = `tpm-rng-${basename(device).slice('tpm'.length)}`
  if (!readFileSync(AVAILABLE_SOURCES, 'utf8').includes(source)) return undefined
  writeFileSync(CURRENT_SOURCE, source)
  return () => guest.run('sh', ['-c', '[ "$(head -c 8 /dev/hwrng 2>/dev/null | wc -c)" = 8 ]'])
}

/** The kernel asks for so many at a time. */
const ASKED_BYTES = 64
const MISSING_BYTES = 4

/** A response with the tag of sessions, whose random bytes are four fewer than it says. */
const CUT_IN_SESSION = ((): string => {
  const hex = (value: number, bytes: number): string => value.toString(16).padStart(2 * bytes, '0')
  const bytes = 'a5'.repeat(ASKED_BYTES - MISSING_BYTES)
  const parameters = `${hex(ASKED_BYTES, 2)}${bytes}`
  const size = 10 + 4 + parameters.length / 2
  return `8002${hex(size, 4)}00000000${hex(parameters.length / 2, 4)}${parameters}`
})()

export const RANDOM_ROWS: readonly GuestRow[] = [
  {
    name: 'random_bytes_past_the_end',
    fix: 'tpm: fix off-by-four bounds check in tpm2_get_random()',
    async judge(guest) {
      const healthy = await guest.tpm()
      if (healthy !== undefined && hasSessions(healthy))
        return skipped("the kernel's sessions have it refuse such a response before: CONFIG_TCG_TPM2_HMAC")
      await healthy?.unplug()
      const tpm = await guest.tpm({ faults: [`GetRandom: respond=${CUT_IN_SESSION}`] })
      if (tpm === undefined) return notOk('there is no device')
      const random = randomSource(guest, tpm)
      if (random === undefined) return needs('HW_RANDOM_TPM')
      return expect(
        random() !== 0,
        `${MISSING_BYTES} bytes behind the response are given out as random numbers`,
      )
    },
  },
]
