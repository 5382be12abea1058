/**
 * TPMs as slow as chips are. The times are orders of magnitude, put together from what is public: few signatures a second on most
 * machines, 200 ms for half of them and 600 ms for one in twenty; RSA keys that take seconds and vary much, because primes are searched; a
 * firmware TPM of which GetRandom takes hundreds of ms now and then, so that Linux does not ask it any more ("tpm: disable hwrng for
 * fTPM on some AMD designs"); limits of the Linux driver (drivers/char/tpm/tpm2-cmd.c). No profile is a chip.
 */
import type { Exchange } from '../exchange.ts'
import type { Random } from '../random.ts'
import type { Responder } from '../responder.ts'
import { wait } from '../time.ts'

/** Milliseconds, from and to. */
type Span = readonly [least: number, most: number]

interface Profile {
  readonly describe: string
  readonly other: Span
  readonly commands: Readonly<Record<string, Span>>
  /** A new RSA key of 2048 bits; longer ones take longer. */
  readonly rsaKey: Span
  /** A new key of another kind. */
  readonly otherKey: Span
  /** Of a hundred GetRandom so many take that long. */
  readonly stutter?: { readonly percent: number; readonly span: Span }
}

const DISCRETE: Profile = {
  describe: 'a chip on a slow bus',
  other: [10, 25],
  commands: {
    ...{ PCR_Extend: [10, 20], NV_Write: [30, 80], NV_DefineSpace: [40, 120], SelfTest: [300, 800] },
    ...{ Load: [80, 160], Unseal: [50, 100], Sign: [150, 600], Quote: [150, 600], RSA_Decrypt: [150, 600] },
    ...{ Certify: [150, 600], ECDH_ZGen: [100, 300], ContextSave: [30, 60], ContextLoad: [30, 60] },
  },
  rsaKey: [3000, 25_000],
  otherKey: [150, 400],
}

const FIRMWARE: Profile = {
  describe: 'firmware of the processor',
  other: [2, 8],
  commands: {
    ...{
      NV_Write: [20, 60],
      NV_DefineSpace: [20, 60],
      SelfTest: [50, 150],
      Load: [10, 30],
      Unseal: [10, 25],
    },
    ...{ Sign: [30, 80], Quote: [30, 80], RSA_Decrypt: [30, 80], Certify: [30, 80] },
  },
  rsaKey: [400, 4000],
  otherKey: [20, 60],
}

const PROFILES: Readonly<Record<string, Profile>> = {
  discrete: DISCRETE,
  firmware: FIRMWARE,
  stutter: {
    ...FIRMWARE,
    describe: 'firmware, and one GetRandom in ten takes hundreds of ms',
    stutter: { percent: 10, span: [300, 900] },
  },
}

export const SLOW_PROFILES = Object.keys(PROFILES)

export function slow(value: string, random: Random): Responder {
  const profile = Object.hasOwn(PROFILES, value) ? PROFILES[value] : undefined
  if (profile === undefined) throw new RangeError(`"${value}" is not one of ${SLOW_PROFILES.join(', ')}`)
  return async (exchange) => {
    const [least, most] = spanOf(profile, exchange, random)
    await wait(exchange, least + (most - least) * random())
  }
}

function spanOf(profile: Profile, exchange: Exchange, random: Random): Span {
  const { name } = exchange
  const { stutter } = profile
  if (name === 'GetRandom' && stutter !== undefined && random() * 100 < stutter.percent) return stutter.span
  if (!['Create', 'CreatePrimary', 'CreateLoaded'].includes(name))
    return profile.commands[name] ?? profile.other
  const template = exchange.parameters.inPublic as
    | { readonly type?: string; readonly parameters?: { readonly keyBits?: number } }
    | undefined
  if (template?.type !== 'RSA') return profile.otherKey
  const times = ((template.parameters?.keyBits ?? 2048) / 2048) ** 3
  return [profile.rsaKey[0] * times, profile.rsaKey[1] * times]
}
