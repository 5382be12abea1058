/** `--tpm [NAME=]KIND[,1.2][,fault=RULE]…`: which TPM the guest is to have. */
import { checkScript } from '../../../serve/scripting/check-script.ts'
import { choiceHint } from '../../../system/did-you-mean.ts'
import { isFault, sentenceOf } from '../../../system/fault.ts'
import { UsageError } from '../../common/options/usage-error.ts'

/** Served in the guest; or outside, as its hardware. */
export const GUEST_KINDS = ['vtpm', 'cuse'] as const
export const HARDWARE_KINDS = ['tis', 'crb'] as const
export type GuestKind = (typeof GUEST_KINDS)[number]
export type HardwareKind = (typeof HARDWARE_KINDS)[number]

export interface TpmDescription {
  /** From 0: `$TPM_0`. */
  readonly index: number
  /** `$TPM_NAME`; the index where it has none. */
  readonly name: string
  readonly kind: GuestKind | HardwareKind
  readonly version: '1.2' | '2.0'
  /** Options of the swtpm that serves it: faults, modes, its seed. */
  readonly options: readonly string[]
}

export const isHardware = <T extends { readonly kind: string }>(tpm: T): tpm is T & { kind: HardwareKind } =>
  (HARDWARE_KINDS as readonly string[]).includes(tpm.kind)

const KINDS: readonly string[] = [...GUEST_KINDS, ...HARDWARE_KINDS]
const SETTINGS: Readonly<Record<string, string>> = {
  fault: '--fault',
  mode: '--mode',
  seed: '--seed-insecure',
}
const NAME = /^[A-Za-z0-9][A-Za-z0-9_]*$/

/** @throws UsageError for a description that makes no TPM, and for two that do not go together */
export function tpmDescriptions(given: readonly string[]): TpmDescription[] {
  const all = (given.length === 0 ? ['vtpm'] : given).map(description)
  const hardware = all.filter(isHardware)
  if (hardware.length > 1)
    throw new UsageError(
      `--tpm: QEMU gives a machine one TPM as hardware, and these are ${hardware.length}: ` +
        `${hardware.map(({ kind }) => kind).join(', ')}; make the others vtpm or cuse, or run ktest once for each`,
      'tpm',
    )
  const names = all.map(({ name }) => name)
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) throw new UsageError(`--tpm: two TPMs are called "${twice}"`, 'tpm')
  return all
}

function description(text: string, index: number): TpmDescription {
  const [first = '', ...rest] = parts(text)
  const [, name = String(index), kind = ''] = /^(?:([^=]*)=)?(.*)$/s.exec(first) ?? []
  if (!NAME.test(name))
    throw new UsageError(`--tpm: "${name}" cannot be a name: letters, digits and _, for $TPM_NAME`, 'tpm')
  if (!KINDS.includes(kind))
    throw new UsageError(`--tpm: "${kind}" is none of ${KINDS.join(', ')}${choiceHint(kind, KINDS)}`, 'tpm')
  let version: TpmDescription['version'] = '2.0'
  const options: string[] = []
  for (const part of rest) {
    const [, setting = '', value = ''] = /^(\w+)=(.*)$/s.exec(part) ?? []
    if (part === '1.2' || part === '2.0') version = part
    else if (Object.hasOwn(SETTINGS, setting) && value !== '') options.push(SETTINGS[setting]!, value)
    else throw new UsageError(`--tpm: "${part}" is none of 1.2, 2.0, fault=RULE, mode=NAME, seed=N`, 'tpm')
  }
  if (kind === 'crb' && version === '1.2')
    throw new UsageError('--tpm: crb is an interface of TPM 2.0 alone; a TPM 1.2 is tis', 'tpm')
  checkOptions(options)
  return { index, name, kind: kind as TpmDescription['kind'], version, options }
}

/** A mistake is told before a machine is booted. @param options names and values in turn */
function checkOptions(options: readonly string[]): void {
  const valuesOf = (name: string): string[] => options.filter((_, at) => options[at - 1] === name)
  const seed = valuesOf('--seed-insecure').find((value) => !/^\d{1,9}$/.test(value))
  if (seed !== undefined) throw new UsageError(`--tpm: seed: "${seed}" is no number from 0 on`, 'tpm')
  try {
    checkScript({ faults: valuesOf('--fault'), modes: valuesOf('--mode') })
  } catch (error) {
    if (!isFault(error)) throw error
    throw new UsageError(`--tpm: ${sentenceOf(error)}`, 'tpm')
  }
}

/** A rule may have commas: what begins with no setting of ours goes on with the rule before. */
function parts(text: string): string[] {
  const found: string[] = []
  for (const piece of text.split(',')) {
    const isNew = found.length === 0 || /^(?:[12]\.\d$|(?:fault|mode|seed)=)/.test(piece)
    if (isNew || !/^fault=/.test(found.at(-1) ?? '')) found.push(piece)
    else found.push(`${found.pop()},${piece}`)
  }
  return found
}
